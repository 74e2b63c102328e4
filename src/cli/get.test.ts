import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import http from 'node:http'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { until } from '../testing/waiting.test.helper.ts'
import {
  inside,
  jsonOf,
  MAIN,
  netmem,
  Running,
  run,
  runInTurn,
  temporaryFolder,
  unlessInstalled,
} from './cli.test.helper.ts'
import { Pattern } from './pattern.ts'

const data = Buffer.concat([...new Pattern(7).views(3_000_019, 2 ** 20)])
const noTerminal =
  process.platform === 'linux'
    ? unlessInstalled('script', ['--version'])
    : 'the terminal is that of `script` of util-linux'
const sha256 = createHash('sha256').update(data).digest('hex')

describe('netmem get', () => {
  const file = temporaryFolder()
  let breaks = 0
  const requests: http.IncomingMessage[] = []
  const server = http.createServer((request, response) => {
    requests.push(request)
    if (request.url === '/none') {
      response.writeHead(404).end('no such thing')
      return
    }
    if (request.url === '/short') {
      request.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx')
      return
    }
    if (request.url === '/moved') {
      response.writeHead(302, { location: '/data' }).end()
      return
    }
    if (request.url === '/slow') {
      response.writeHead(200, { 'content-length': data.length, etag: '"1"' })
      response.write(data.subarray(0, 100_000))
      return
    }
    const first = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const last = Number(/-(\d+)$/.exec(request.headers.range ?? '')?.[1] ?? data.length - 1)
    const part = data.subarray(first, last + 1)
    response.writeHead(request.headers.range === undefined ? 200 : 206, {
      etag: '"1"',
      'content-length': part.length,
      ...(request.headers.range === undefined
        ? {}
        : { 'content-range': `bytes ${first}-${first + part.length - 1}/${data.length}` }),
    })
    if (breaks-- > 0) {
      response.write(part.subarray(0, 500_000), () => response.destroy())
    } else {
      response.end(part)
    }
  })
  let url = ''
  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    url = `http://127.0.0.1:${address.port}`
  })
  after(() => {
    server.close()
    server.closeAllConnections()
  })

  it('writes a file, verifies it, and says so', async () => {
    const out = file('one')
    const args = ['get', `${url}/moved`, '--out', out, '--sha256', sha256, '--header', 'X-A: b:c']
    const ended = await run(args)
    assert.equal(ended.code, 0, ended.err)
    const download = inside(jsonOf(ended), 'downloads')
    assert.deepEqual([download['bytes'], download['sha256']], [data.length, sha256])
    assert.equal(Buffer.compare(readFileSync(out), data), 0)
    assert.equal(requests.at(-1)?.headers['x-a'], 'b:c')
  })

  it('shows a bar on a terminal, and a line of text', { skip: noTerminal }, async () => {
    const args = ['get', `${url}/data`, '--out', file('seen'), '--limit', '4MB']
    const words = [process.execPath, MAIN, ...args, '--sha256', sha256]
    const terminal = new Running('script', ['-qefc', words.join(' '), '/dev/null'])
    const { code, out } = await terminal.ended
    assert.equal(code, 0, out.toString())
    const bar = /seen {2}\S+ [KM]iB {2}\S+ [KMG]B\/s {2}\d+ % {2}00:0\d left {2}\[#+ +\]/
    assert.match(out.toString(), bar)
    assert.match(out.toString(), /seen {2}3000019 bytes .* complete {2}verified\r\n$/)
  })

  it('writes several into a folder, over several connections', async () => {
    const folder = file('folder')
    mkdirSync(folder)
    const args = [
      'get',
      `${url}/a`,
      `${url}/b%20c?d`,
      '--out',
      folder,
      '--connections',
      '3',
      '--json',
    ]
    const ended = await run(args)
    assert.equal(ended.code, 0, ended.err)
    const report = jsonOf(ended)
    assert.deepEqual(
      [report['failed'], report['bytes'], report['exitCode']],
      [0, 2 * data.length, 0],
    )
    assert.deepEqual(readdirSync(folder).sort(), ['a', 'b c'])
    for (const name of ['a', 'b c']) {
      assert.equal(Buffer.compare(readFileSync(`${folder}/${name}`), data), 0)
    }
  })

  it('makes the folders that --out lacks', async () => {
    for (const [out, path] of [
      ['made/of/two', 'made/of/two'],
      ['made/for/', 'made/for/data'],
    ] as const) {
      const { code, err } = await run(['get', `${url}/data`, '--out', file(out)])
      assert.equal(code, 0, err)
      assert.equal(Buffer.compare(readFileSync(file(path)), data), 0)
    }
  })

  it('writes to stdout, and then speaks on stderr', async () => {
    const { code, out, err } = await run(['get', `${url}/data`, '--out', '-'])
    assert.equal(code, 0, err)
    assert.equal(Buffer.compare(out, data), 0)
    assert.equal(inside(jsonOf({ out: Buffer.from(err) }), 'downloads')['bytes'], data.length)
  })

  it('writes to a pipe that has no path of its own', async () => {
    const args = ['get', `${url}/data`, '--out', '/dev/stdout']
    const piped = new Running('sh', ['-c', '"$0" "$@" | cat', process.execPath, MAIN, ...args])
    const { out, err } = await piped.ended
    assert.equal(err, '')
    assert.equal(Buffer.compare(out.subarray(0, data.length), data), 0)
  })

  it('continues a transfer that failed', async () => {
    const out = file('resumed')
    breaks = 1
    const args = ['get', `${url}/data`, '--out', out, '--resume', '--retries', '0']
    const failed = await run(args)
    assert.equal(failed.code, 1)
    assert.match(failed.err, /^netmem: NETMEM_(ENDED_EARLY|CONNECTION_RESET): .+$/m)
    const ended = await run(args)
    assert.equal(ended.code, 0, ended.err)
    const from = /^bytes=([1-9]\d*)-$/.exec(requests.at(-1)?.headers.range ?? '')?.[1]
    const { bytes, resumedFrom, seconds, bytesPerSecond } = inside(jsonOf(ended), 'downloads')
    assert.deepEqual([bytes, resumedFrom], [data.length, Number(from)])
    assert.equal(bytesPerSecond, (data.length - Number(from)) / Number(seconds))
    assert.equal(Buffer.compare(readFileSync(out), data), 0)
  })

  it('gets the others where one fails, and says which', async () => {
    const folder = file('some')
    mkdirSync(folder)
    const ended = await run(['get', `${url}/none`, `${url}/short`, `${url}/data`, '--out', folder])
    assert.equal(ended.code, 1)
    assert.match(ended.err, /^netmem: NETMEM_HTTP_STATUS: http:[^ ]+\/none answered 404 /m)
    assert.match(ended.err, /^netmem: NETMEM_HTTP_PROTOCOL: http:[^ ]+\/short: Content-Length /m)
    assert.deepEqual([jsonOf(ended)['failed'], jsonOf(ended)['bytes']], [2, data.length])
    assert.deepEqual(readdirSync(folder), ['data'])
  })

  it('sends fields of one name as one', async () => {
    const fields = ['X-A: 1', 'x-a: 2', 'Cookie: a=b', 'Cookie: c=d']
    const args = ['get', `${url}/data`, '--out', '/dev/null']
    const { code, err } = await run([...args, ...fields.flatMap((field) => ['--header', field])])
    assert.equal(code, 0, err)
    const { rawHeaders = [], headers } = requests.at(-1) ?? {}
    assert.deepEqual([headers?.['x-a'], headers?.cookie], ['1, 2', 'a=b; c=d'])
    assert.equal(rawHeaders.filter((name) => /^(X-A|Cookie)$/.test(name)).length, 2)
  })

  it('fails where the reader of its stdout has gone', async () => {
    const seen = requests.length
    const get = netmem('get', `${url}/data`, `${url}/data`, '--out', '-')
    get.child.stdout?.destroy()
    const { code, err } = await get.ended
    assert.equal(code, 1)
    assert.match(err, /^netmem: EPIPE: /m)
    assert.equal(requests.length, seen + 1, 'it does not get more in vain')
  })

  it('fails with an HTTP error, and leaves no file', async () => {
    const ended = await run(['get', `${url}/none`, '--out', file('none'), '--json'])
    assert.equal(ended.code, 1)
    const report = jsonOf(ended)
    assert.equal(inside(report, 'error')['code'], 'NETMEM_HTTP_STATUS')
    assert.equal(inside(report, 'downloads')['status'], 404)
    assert.throws(() => readFileSync(file('none')))
  })

  it('fails with another digest, and leaves no file', async () => {
    const args = ['get', `${url}/data`, '--out', file('wrong'), '--sha256', '0'.repeat(64)]
    const { code, err } = await run(args)
    assert.equal(code, 1)
    assert.match(err, /^netmem: NETMEM_DIGEST_MISMATCH: /m)
    assert.throws(() => readFileSync(file('wrong')))
  })

  it('keeps what came when it is interrupted, if told so', async () => {
    const out = file('interrupted')
    const get = netmem('get', `${url}/slow`, '--out', out, '--resume', '--json')
    // The file has another name until it is left.
    const kept = (): number =>
      readdirSync(dirname(out))
        .filter((name) => /^interrupted.*\.part$/.test(name))
        .reduce((sum, name) => sum + statSync(join(dirname(out), name)).size, 0)
    await until(() => kept() === 100_000, 'what came is in the file')
    get.child.kill('SIGINT')
    const ended = await get.ended
    assert.equal(ended.code, 130, ended.err)
    assert.equal(inside(jsonOf(ended), 'downloads')['ended'], 'interrupted')
    assert.equal(kept(), 100_000)
  })

  it('keeps to a rate', async () => {
    const began = performance.now()
    const args = ['get', `${url}/data`, '--out', '/dev/null', '--limit', '6MB', '--json']
    const ended = await run(args)
    assert.equal(ended.code, 0, ended.err)
    assert.ok(performance.now() - began > 400)
  })

  it('says what is wrong with its arguments', async () => {
    const wrong = [
      [[], /missing required argument/],
      [['ftp://x/y'], /there are http:/],
      [['http://'], /is no URL/],
      [[`${url}/`], /names no file/],
      [[`${url}/.bashrc`], /names no file/],
      [[`${url}/a`, `${url}/b`, '--out', file('f')], /one file for 2 URLs/],
      [[`${url}/a`, `${url}/a`], /written to a\./],
      [[`${url}/a`, '--sha256', 'abc'], /64 hexadecimal digits/],
      [[`${url}/a`, `${url}/b`, '--sha256', sha256], /one URL/],
      [[`${url}/a`, '--header', 'x'], /Name: value/],
      [[`${url}/a`, '--header', 'Range: bytes=0-1'], /Range is set by the transfer/],
      [[`${url}/a`, '--header', 'X Y: z'], /cannot name a header field/],
      [[`${url}/a`, '--limit', '1023'], /at least 1024 bytes a second/],
      [[`${url}/a`, '--limit', '1M'], /may mean two things/],
      [[`${url}/a`, '--out', ''], /--out names nothing/],
      [[`${url}/a`, '--connections', '65'], /1 to 64/],
      [[`${url}/a`, '--out', '-', '--resume'], /--resume takes a file/],
    ] as const
    const ends = await runInTurn(wrong.map(([args]) => ['get', ...args]))
    for (const [i, { code, err }] of ends.entries()) {
      assert.equal(code, 2, err)
      assert.match(err, /^netmem: USAGE: .+\n/)
      assert.match(err, wrong[i]?.[1] ?? /^$/)
    }
  })
})
