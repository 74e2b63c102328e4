// Readiness and netlink where the kernel refuses asynchronous I/O: a filter of system calls (seccomp)
// refuses it to a whole process, in which the tests of those parts run once more.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Runs a program that gets an error number for one system call: CALL ERRNO PROGRAM [ARGUMENT]... */
const SOURCE = `
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
  if (count < 4) return 101;
  int call = strcmp(words[1], "io_setup") == 0 ? SYS_io_setup : SYS_io_submit;
  struct sock_filter rules[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(words[2])),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = { sizeof rules / sizeof *rules, rules };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 102;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return 103;
  execv(words[3], words + 3);
  return 104;
}
`

/** Answers of kernels and containers. */
const REFUSALS = [
  { where: 'a kernel without CONFIG_AIO', call: 'io_setup', errno: 38 },
  { where: 'a container that filters it', call: 'io_setup', errno: 1 },
  { where: 'a machine at its fs.aio-max-nr', call: 'io_setup', errno: 11 },
  { where: 'a kernel whose asynchronous I/O does not poll', call: 'io_submit', errno: 22 },
] as const

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const PROGRAM = here('without-aio.test.worker.js')
const TESTS = ['watch.test.js', '../netlink/open-netlink.test.js', '../netlink/socket.test.js']

const skip =
  process.platform !== 'linux'
    ? 'needs Linux'
    : spawnSync('cc', ['--version']).error !== undefined
      ? 'needs a C compiler: apt-get install gcc libc6-dev'
      : false

describe('without asynchronous I/O', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-aio-'))
  after(() => rmSync(folder, { recursive: true }))
  const refuse = join(folder, 'refuse')
  before(() => {
    writeFileSync(`${refuse}.c`, SOURCE)
    const { status, stderr } = spawnSync('cc', ['-o', refuse, `${refuse}.c`], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  })

  /** Runs a program of Node.js, and returns what it prints. */
  function run(program: string, args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync(program, args, {
      encoding: 'utf8',
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    })
    assert.equal(status, 0, `${stdout}\n${stderr}`)
    return stdout
  }

  for (const { where, call, errno } of REFUSALS) {
    it(`a timer looks for events: ${where}`, () => {
      const output = run(refuse, [call, `${errno}`, process.execPath, PROGRAM])
      assert.equal(output, 'eventfds: 0\n')
    })
  }

  for (const test of TESTS) {
    it(`all of ${test} passes`, () => {
      const program = [process.execPath, '--expose-gc', '--test-reporter=tap', here(test)]
      const output = run(refuse, ['io_setup', '38', ...program])
      assert.match(output, /^# pass [1-9]/m)
    })
  }
})

// The file is there where the kernel was built with CONFIG_AIO (K: fs/aio.c).
const without = !existsSync('/proc/sys/fs/aio-max-nr') && 'needs a kernel with CONFIG_AIO'

it('with asynchronous I/O the kernel adds to an eventfd', { skip: skip || without }, () => {
  const { stdout, stderr } = spawnSync(process.execPath, [PROGRAM], { encoding: 'utf8' })
  assert.equal(stdout, 'eventfds: 1\n', stderr)
})
