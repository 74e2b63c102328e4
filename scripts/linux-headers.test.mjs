// Numbers, error names and structures of src/linux/sys compared with C: a program prints what the
// headers say. The headers are the host's, and those of Debian's newest kernel for x86-64 and arm64.
// A compiler for x86-64 serves for arm64 too, since it lays structures out alike.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { packageInCache } from '../build/test/guest/debian.js'
import * as constants from '../dist/linux/sys/constants.js'
import { ERRNO } from '../dist/linux/sys/errno.js'
import * as layouts from '../dist/linux/sys/layouts.js'
import { DMABUF_CMSG } from '../dist/wire/control-messages.js'
import * as flowRules from '../dist/wire/flow-rules.js'
import * as netlink from '../dist/wire/netlink.js'
import { ERROR_QUEUE, SOCK_EXTENDED_ERR } from '../dist/wire/queued-errors.js'
import * as virtioNet from '../dist/wire/virtio-net.js'

const { BY_MACHINE, ...calls } = constants
const { EPOLL_EVENTS, ...structuresOfCalls } = layouts
/** Numbers of the codecs that have C's names. */
const codecs = Object.entries({ ...netlink, ...flowRules, ...virtioNet, ...ERROR_QUEUE }).filter(
  ([name]) => /^(NLM|ETHTOOL_|RX_CLS_|VIRTIO_NET_HDR_|SO_EE_|IP)/.test(name),
)
const common = { ...calls, ...Object.fromEntries(codecs) }
const { RXNFC, TCPIP4_SPEC, TCPIP6_SPEC } = flowRules
const { VIRTIO_NET_HDR } = virtioNet
const structures = {
  ...structuresOfCalls,
  ...{ RXNFC, TCPIP4_SPEC, TCPIP6_SPEC, VIRTIO_NET_HDR, DMABUF_CMSG, SOCK_EXTENDED_ERR },
}

/** Headers of the C library, which has what the kernel keeps out of its own. */
const LIBRARY_HEADERS = [
  ...['fcntl.h', 'poll.h', 'sched.h', 'sys/epoll.h', 'sys/eventfd.h', 'sys/mman.h'],
  ...[
    'sys/socket.h',
    'sys/syscall.h',
    'net/if.h',
    'netinet/in.h',
    'netinet/tcp.h',
    'netinet/udp.h',
  ],
]
const KERNEL_HEADERS = [
  ...['linux/fcntl.h', 'linux/errno.h', 'linux/memfd.h', 'linux/mempolicy.h', 'linux/mman.h'],
  ...['linux/netlink.h', 'linux/poll.h', 'linux/sched.h', 'linux/un.h', 'linux/uio.h'],
  ...['linux/in.h', 'linux/in6.h', 'linux/ethtool.h', 'linux/if_tun.h'],
  ...['linux/sockios.h', 'linux/virtio_net.h', 'linux/time.h', 'linux/errqueue.h'],
  ...['linux/dma-buf.h', 'linux/dma-heap.h', 'linux/udmabuf.h'],
  ...['linux/aio_abi.h', 'linux/eventpoll.h', 'linux/eventfd.h', 'asm/socket.h', 'asm/unistd.h'],
]
/** Kernel-internal numbers that no header of programs has. K: include/linux/errno.h, include/linux/socket.h. */
const UNPUBLISHED = ['ENOTSUPP', 'ETOOSMALL', 'MSG_SOCK_DEVMEM']
/** Members of enumerations, which the preprocessor does not know. */
const ENUMERATED = /^(MPOL_|IOCB_CMD_)/

function flowFields(ip, TOS) {
  const ports = { SOURCE_PORT: 'psrc', DESTINATION_PORT: 'pdst' }
  return { SOURCE: `${ip}src`, DESTINATION: `${ip}dst`, ...ports, TOS }
}

/** C's structures and fields by our names. Those of OF_LIBRARY are the C library's to lay out. */
const STRUCTURES = {
  MSGHDR: {
    name: 'struct msghdr',
    fields: {
      NAME: 'msg_name',
      NAME_LENGTH: 'msg_namelen',
      VECTORS: 'msg_iov',
      VECTOR_COUNT: 'msg_iovlen',
      CONTROL: 'msg_control',
      CONTROL_LENGTH: 'msg_controllen',
      FLAGS: 'msg_flags',
    },
  },
  CMSGHDR: {
    name: 'struct cmsghdr',
    fields: { LENGTH: 'cmsg_len', LEVEL: 'cmsg_level', TYPE: 'cmsg_type' },
  },
  IOVEC: { name: 'struct iovec', fields: { BASE: 'iov_base', LENGTH: 'iov_len' } },
  SOCKADDR_IN: {
    name: 'struct sockaddr_in',
    fields: { FAMILY: 'sin_family', PORT: 'sin_port', ADDRESS: 'sin_addr' },
  },
  SOCKADDR_IN6: {
    name: 'struct sockaddr_in6',
    fields: { FAMILY: 'sin6_family', PORT: 'sin6_port', ADDRESS: 'sin6_addr' },
  },
  SOCKADDR_NL: {
    name: 'struct sockaddr_nl',
    fields: { FAMILY: 'nl_family', PORT: 'nl_pid', GROUPS: 'nl_groups' },
  },
  SOCKADDR_UN: { name: 'struct sockaddr_un', fields: { FAMILY: 'sun_family', PATH: 'sun_path' } },
  POLLFD: { name: 'struct pollfd', fields: { FD: 'fd', EVENTS: 'events', RESULT: 'revents' } },
  EPOLL_EVENT: { name: 'struct epoll_event', fields: { EVENTS: 'events', DATA: 'data' } },
  IOCB: {
    name: 'struct iocb',
    fields: {
      OPCODE: 'aio_lio_opcode',
      FD: 'aio_fildes',
      BUFFER: 'aio_buf',
      FLAGS: 'aio_flags',
      RESULT_FD: 'aio_resfd',
    },
  },
  RXNFC: {
    name: 'struct ethtool_rxnfc',
    fields: {
      COMMAND: 'cmd',
      DATA: 'data',
      FLOW_TYPE: 'fs.flow_type',
      VALUES: 'fs.h_u',
      MASKS: 'fs.m_u',
      RING_COOKIE: 'fs.ring_cookie',
      LOCATION: 'fs.location',
      COUNT: 'rule_cnt',
      CONTEXT: 'rss_context',
      LOCATIONS: 'rule_locs',
    },
  },
  TCPIP4_SPEC: { name: 'struct ethtool_tcpip4_spec', fields: flowFields('ip4', 'tos') },
  TCPIP6_SPEC: { name: 'struct ethtool_tcpip6_spec', fields: flowFields('ip6', 'tclass') },
  IO_EVENT: { name: 'struct io_event', fields: {} },
  IFREQ: {
    name: 'struct ifreq',
    fields: { FLAGS: 'ifr_flags', MTU: 'ifr_mtu', IFINDEX: 'ifr_ifindex', DATA: 'ifr_data' },
  },
  UDMABUF: {
    name: 'struct udmabuf_create',
    fields: { MEMFD: 'memfd', FLAGS: 'flags', OFFSET: 'offset', SIZE: 'size' },
  },
  DMA_HEAP_ALLOCATION: {
    name: 'struct dma_heap_allocation_data',
    fields: { LENGTH: 'len', FD: 'fd', FD_FLAGS: 'fd_flags' },
  },
  DMA_BUF_SYNC: { name: 'struct dma_buf_sync', fields: { FLAGS: 'flags' } },
  DMABUF_CMSG: {
    name: 'struct dmabuf_cmsg',
    fields: {
      FRAG_OFFSET: 'frag_offset',
      FRAG_SIZE: 'frag_size',
      FRAG_TOKEN: 'frag_token',
      DMABUF_ID: 'dmabuf_id',
      FLAGS: 'flags',
    },
  },
  SOCK_EXTENDED_ERR: {
    name: 'struct sock_extended_err',
    fields: { ERRNO: 'ee_errno', ORIGIN: 'ee_origin', INFO: 'ee_info', DATA: 'ee_data' },
  },
  VIRTIO_NET_HDR: {
    name: 'struct virtio_net_hdr',
    fields: {
      FLAGS: 'flags',
      GSO_TYPE: 'gso_type',
      HEADER_BYTES: 'hdr_len',
      GSO_SIZE: 'gso_size',
      CHECKSUM_START: 'csum_start',
      CHECKSUM_OFFSET: 'csum_offset',
    },
  },
}
const OF_LIBRARY = ['MSGHDR', 'CMSGHDR', 'IFREQ']

/** Compiles and runs a program against headers. Returns what it printed, by name. */
function printed(arguments_, headers, names, structureNames) {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-headers-'))
  try {
    const lines = names.map((name) => {
      if (headers === LIBRARY_HEADERS && ENUMERATED.test(name)) return ''
      const c = name.replace(/^SYS_/, '__NR_')
      const print = `P("${name}", (long long)(${c}))`
      return ENUMERATED.test(name) ? print : `#ifdef ${c}\n${print}\n#endif`
    })
    for (const name of structureNames) {
      const { name: type, fields } = STRUCTURES[name]
      lines.push(`P("${name}.BYTES", (long long)sizeof(${type}))`)
      for (const [field, member] of Object.entries(fields)) {
        lines.push(`P("${name}.${field}", (long long)__builtin_offsetof(${type}, ${member}))`)
      }
    }
    const source = [
      ...headers.map((header) => `#if __has_include(<${header}>)\n#include <${header}>\n#endif`),
      'extern int printf(const char *, ...);',
      '#define P(name, value) printf("%s %lld\\n", name, value);',
      `int main(void) {\n${lines.join('\n')}\nreturn 0; }`,
    ]
    writeFileSync(join(folder, 'print.c'), source.join('\n'))
    const program = join(folder, 'print')
    execFileSync('cc', ['-w', '-o', program, join(folder, 'print.c'), ...arguments_], {
      stdio: 'pipe',
    })
    const output = execFileSync(program, { encoding: 'utf8' })
    return new Map(
      output
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
        .map(([name, value]) => [name, Number(value)]),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Returns netmem's numbers for a machine, by the names that programs print. */
function ours(machine) {
  const all = { ...common, ...BY_MACHINE[machine], ...ERRNO }
  const structs = { ...structures, EPOLL_EVENT: EPOLL_EVENTS[machine] }
  for (const [name, fields] of Object.entries(structs)) {
    for (const [field, value] of Object.entries(fields)) all[`${name}.${field}`] = value
  }
  return all
}

/** Returns the names that an archive of ar(1) defines: those of its first member, the table of symbols. */
function namesOf(archive) {
  const header = 8 + 60
  const end = header + Number(archive.toString('latin1', 56, 66))
  const count = archive.readUInt32BE(header)
  return archive.toString('latin1', header + 4 + 4 * count, end).split('\0')
}

/** Asserts that what was printed is what we have, and returns the names. */
function compare(machine, values) {
  const expected = ours(machine)
  for (const [name, value] of values) assert.equal(value, expected[name], name)
  return [...values.keys()]
}

const names = [...Object.keys(common), ...Object.keys(ERRNO)]
const skip =
  process.platform !== 'linux' || process.arch !== 'x64'
    ? 'needs Linux on x86-64'
    : spawnSync('cc', ['--version']).error !== undefined
      ? 'needs a C compiler: apt-get install gcc libc6-dev'
      : false

describe('numbers and structures of Linux are those of C', { skip }, () => {
  const found = new Set()

  it("by the host's C library", () => {
    const layouts = [...OF_LIBRARY, 'IOVEC', 'POLLFD', 'EPOLL_EVENT', 'SOCKADDR_IN', 'SOCKADDR_IN6']
    const seen = compare('x64', printed(['-D_GNU_SOURCE'], LIBRARY_HEADERS, names, layouts))
    assert.ok(seen.length > 100, `${seen.length}`)
    for (const name of seen) found.add(name)
  })

  // Alpine Linux has this library. Its structures have padding where those of glibc have wider fields.
  const musl = skip === false ? packageInCache('musl-dev') : undefined
  describe('by musl', { skip: musl === undefined && 'needs musl-dev: npm run guest:fetch' }, () => {
    it('in its headers', () => {
      const include = join(musl, 'usr/include/x86_64-linux-musl')
      const flags = ['-D_GNU_SOURCE', '-nostdinc', '-isystem', include]
      const layouts = [...OF_LIBRARY, 'IOVEC', 'POLLFD', 'EPOLL_EVENT', 'SOCKADDR_IN']
      const seen = compare('x64', printed(flags, LIBRARY_HEADERS, names, layouts))
      assert.ok(seen.length > 100, `${seen.length}`)
    })

    it('in the names of its functions', () => {
      const library = join(musl, 'usr/lib/x86_64-linux-musl/libc.a')
      const has = new Set(namesOf(readFileSync(library)))
      const text = readFileSync(new URL('../dist/linux/sys/libc.js', import.meta.url), 'utf8')
      // The library of the process itself, which has another name in each system.
      assert.match(text, /koffi\.load\(null\)/)
      const ours = [...text.matchAll(/ f\('[^(]*?(\w+)\(/g)].map(([, name]) => name)
      assert.ok(ours.length > 35, `${ours.length}`)
      assert.deepEqual(
        ours.filter((name) => !has.has(name)),
        [],
      )
    })
  })

  // Debian's package has the headers of every machine. Its cross packages are links to them.
  const place = skip === false ? packageInCache('linux-libc-dev') : undefined
  const missing =
    place === undefined ? 'needs linux-libc-dev of Debian: npm run guest:fetch' : false
  for (const [machine, folder] of [
    ['x64', 'x86_64-linux-gnu'],
    ['arm64', 'aarch64-linux-gnu'],
  ]) {
    it(`by the headers of Debian's newest kernel (${machine})`, { skip: missing }, () => {
      const includes = ['usr/include', `usr/include/${folder}`].map((each) => join(place, each))
      // No header of the host: neither the C library's nor its kernel's.
      const flags = ['-nostdinc', ...includes.flatMap((folder) => ['-isystem', folder])]
      if (machine === 'arm64') flags.push('-U__x86_64__', '-D__aarch64__')
      const layouts = Object.keys(STRUCTURES).filter((one) => !OF_LIBRARY.includes(one))
      const seen = compare(machine, printed(flags, KERNEL_HEADERS, names, layouts))
      for (const one of Object.keys(BY_MACHINE[machine])) assert.ok(seen.includes(one), one)
      assert.ok(seen.length > 200, `${seen.length}`)
      for (const one of seen) found.add(one)
    })
  }

  it('no number is left out', () => {
    const left = names.filter((name) => !found.has(name) && !UNPUBLISHED.includes(name))
    const fetched = packageInCache('linux-libc-dev') !== undefined
    if (fetched) assert.deepEqual(left, [])
    const layouts = Object.keys(structures).filter((name) => !(name in STRUCTURES))
    assert.deepEqual(layouts, [])
  })

  it('every error name of the headers is ours', {
    skip: !existsSync('/usr/include/asm-generic/errno.h') && 'needs linux-libc-dev',
  }, () => {
    for (const file of ['errno-base.h', 'errno.h']) {
      const text = readFileSync(join('/usr/include/asm-generic', file), 'utf8')
      for (const [, name, number] of text.matchAll(/^#define\s+(E\w+)\s+(\d+)/gm)) {
        assert.equal(ERRNO[name], Number(number), name)
      }
    }
  })
})
