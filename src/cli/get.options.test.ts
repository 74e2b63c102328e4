import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import { describe, it } from 'node:test'

import { content, listening, ranged, serve, serveRaw } from '../http/http.test.helper.ts'
import { certificate, noTls } from '../net/harness.test.helper.ts'
import { some } from '../testing/pools.test.helper.ts'
import {
  inside,
  jsonLines,
  jsonOf,
  MAIN,
  netmem,
  Running,
  run,
  runInTurn,
  temporaryFolder,
} from './cli.test.helper.ts'

describe('netmem get, as asked', () => {
  const file = temporaryFolder()

  it('takes the short forms that people know, and logs in', async () => {
    const seen: IncomingMessage[] = []
    await using server = await serve((request, response) => {
      seen.push(request)
      ranged(request, response)
    })
    const out = file('short')
    const { code, err } = await run([
      'get',
      `${server.url}data?a=b`,
      '-o',
      out,
      '-H',
      'X-A: b',
      '-u',
      'me:pass:word',
    ])
    assert.equal(code, 0, err)
    assert.equal(seen[0]?.headers['x-a'], 'b')
    const basic = Buffer.from('me:pass:word').toString('base64')
    assert.equal(seen[0]?.headers.authorization, `Basic ${basic}`)
    assert.equal(Buffer.compare(readFileSync(out), content), 0)
  })

  it('names the file after the URL with -O', async () => {
    await using server = await serve(ranged)
    const words = [process.execPath, MAIN, 'get', `${server.url}a/named`, '-O', '-q']
    const { code, out, err } = await new Running('sh', [
      '-c',
      'cd "$0" && exec "$@"',
      file('.'),
      ...words,
    ]).ended
    assert.deepEqual([code, out.toString(), err], [0, '', ''])
    assert.equal(Buffer.compare(readFileSync(file('named')), content), 0)
  })

  it('is quiet but for errors, and JSON that was asked for', async () => {
    await using server = await serve((request, response) => {
      if (request.url === '/none') response.writeHead(404).end()
      else ranged(request, response)
    })
    const good = await run(['get', server.url, '-qo', '/dev/null'])
    assert.deepEqual([good.code, good.out.length, good.err], [0, 0, ''])
    const bad = await run(['get', `${server.url}none`, '-qo', '/dev/null'])
    assert.deepEqual([bad.code, bad.out.length], [1, 0])
    assert.match(bad.err, /^netmem: NETMEM_HTTP_STATUS: .* 404 [^\n]+\n$/)
    const asked = await run(['get', server.url, '-q', '-o', '/dev/null', '--json'])
    assert.equal(inside(jsonOf(asked), 'downloads')['bytes'], content.length)
  })

  it('shows heads, redirects, attempts and times, but no secrets', async () => {
    let busy = true
    await using server = await serve((request, response) => {
      if (request.url === '/') {
        response.writeHead(302, { location: '/there' }).end()
      } else if (busy) {
        busy = false
        response.writeHead(503, { 'retry-after': '0' }).end()
      } else {
        ranged(request, response)
      }
    })
    const secrets = ['-u', 'me:secret', '-H', 'X-Api-Key: secret', '-H', 'X-Other: shown']
    const { code, out, err } = await run(['get', server.url, '-vo', '/dev/null', ...secrets])
    assert.equal(code, 0, err)
    assert.doesNotMatch(err + out, /secret/)
    for (const line of [
      /^> GET \/ HTTP\/1\.1\n> Host: 127\.0\.0\.1:\d+$/m,
      /^> X-Other: shown$/m,
      /^> Authorization: \(not shown\)$/m,
      /^\* connected in \d+(\.\d)? ms\n< HTTP\/1\.1 302 Found\n< location: \/there$/m,
      /^< HTTP\/1\.1 503 Service Unavailable$/m,
      /^\* NETMEM_HTTP_STATUS: .*\n\* attempt 2 in 0\.\d s$/m,
      /^< HTTP\/1\.1 200 OK\n(< .+\n)*< etag: "1"$/m,
      /^\* first byte after [\d.]+ ms, last byte after [\d.]+ ms$/m,
    ]) {
      assert.match(err, line)
    }
  })

  it('says which attempt it is in, and counts those of a failure', async () => {
    await using server = await serve((_, response) => {
      response.writeHead(503, { 'retry-after': '0' }).end()
    })
    const ended = await run(['get', server.url, '-o', file('busy'), '--retries', '1', '--json'])
    assert.equal(ended.code, 1)
    const attempts = ended.err.match(/busy: attempt 2 of 2 in 0\.\d s, after NETMEM_HTTP_STATUS: /g)
    assert.equal(attempts?.length, 1, ended.err)
    assert.equal(inside(jsonOf(ended), 'downloads')['retries'], 1)
  })

  it('gives up after --max-time, and after --stall-timeout and its retries', async () => {
    await using server = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('x')
    })
    const args = ['get', server.url, '-o', file('late'), '--json']
    const late = await run([...args, '--max-time', '0.3'])
    assert.equal(late.code, 1)
    assert.match(late.err, /^netmem: NETMEM_TIMEOUT: .*It took longer than --max-time 0\.3 s\.\n$/)
    const stalled = await run([...args, '--stall-timeout', '0.2', '--retries', '0'])
    assert.equal(stalled.code, 1)
    assert.match(stalled.err, /^netmem: NETMEM_TIMEOUT: .* 200 ms/)
  })

  it('goes round a proxy, or says that it cannot be reached', async () => {
    await using server = await serve(ranged)
    const nobody = 'http://127.0.0.1:1'
    const env = { http_proxy: nobody, no_proxy: '' }
    const args = [MAIN, 'get', server.url, '-o', '/dev/null', '--retries', '0']
    const through = await new Running(process.execPath, args, env).ended
    assert.equal(through.code, 1)
    const around = await new Running(process.execPath, [...args, '--no-proxy'], env).ended
    assert.equal(around.code, 0, around.err)
  })

  it('trusts every certificate with --insecure alone', { skip: noTls }, async () => {
    const own = https.createServer({ ...some(certificate) }, (request, response) =>
      ranged(request, response),
    )
    await using server = await listening(own, 'https')
    const args = ['get', server.url, '-o', '/dev/null']
    const careful = await run(args)
    assert.equal(careful.code, 1)
    assert.match(careful.err, /^netmem: NETMEM_TLS: /m)
    assert.equal((await run([...args, '--insecure'])).code, 0)
    const pem = file('ca.pem')
    writeFileSync(pem, some(certificate).cert)
    assert.equal((await run([...args, '--cacert', pem])).code, 0)
  })

  it('keeps headers from other origins, and out of the clear, unless told', {
    skip: noTls,
  }, async () => {
    const seen: IncomingMessage[] = []
    await using plain = await serve((request, response) => {
      seen.push(request)
      ranged(request, response)
    })
    const own = https.createServer({ ...some(certificate) }, (_request, response) => {
      response.writeHead(302, { location: plain.url }).end()
    })
    await using server = await listening(own, 'https')
    const args = ['get', server.url, '-o', '/dev/null', '-k', '-H', 'X-Key: a', '-H', 'X-B: b']
    const refused = await run(args)
    assert.equal(refused.code, 1)
    assert.match(refused.err, /NETMEM_HTTP_REDIRECTS: .* use --allow-downgrade if that will do/)
    const told = await run([...args, '--allow-downgrade', '--cross-origin-header', 'x-b'])
    assert.equal(told.code, 0, told.err)
    assert.deepEqual([seen[0]?.headers['x-key'], seen[0]?.headers['x-b']], [undefined, 'b'])
  })

  it('says that a body without a length may have been cut', async () => {
    await using server = await serveRaw((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nx'))
    const ended = await run(['get', server.url, '-o', file('open'), '--json'])
    assert.equal(ended.code, 0)
    assert.match(ended.err, /open: The server said no length, so a cut would look like the end/)
    assert.equal(inside(jsonOf(ended), 'downloads')['endKnown'], false)
  })

  it('reports each download when it ends', async () => {
    let asked = (): void => undefined
    const second = new Promise<void>((resolve) => {
      asked = resolve
    })
    await using server = await serve((request, response) => {
      if (request.url === '/waits') asked()
      else ranged(request, response)
    })
    const get = netmem('get', `${server.url}a`, `${server.url}waits`, '-o', file('.'), '--json')
    await get.prints(/\n/)
    await second
    get.child.kill('SIGINT')
    const [first, interrupted, end] = jsonLines((await get.ended).out.toString())
    assert.deepEqual([first?.['event'], first?.['bytes']], ['download', content.length])
    assert.deepEqual([interrupted?.['event'], interrupted?.['bytes']], ['download', 0])
    assert.deepEqual([end?.['event'], end?.['exitCode']], ['end', 130])
  })

  it('shows nothing that a terminal would obey', async () => {
    await using server = await serveRaw((socket) => {
      const bytes = Buffer.from('404 \x1b]0;title\x07 \x9b2J \x85', 'latin1')
      socket.end(
        Buffer.concat([
          Buffer.from('HTTP/1.1 '),
          bytes,
          Buffer.from('\r\nX-A: \xc2\x9b31m\r\nContent-Length: 0\r\n\r\n', 'latin1'),
        ]),
      )
    })
    for (const flags of [[], ['-v'], ['--json']]) {
      const args = ['get', `${server.url}%1b%5b2J%c2%9b31m`, '-O', ...flags]
      const { out, err } = await run(args)
      assert.doesNotMatch(out.toString() + err, /[^\n\x20-\x7e]/)
      assert.doesNotMatch(out.toString('latin1'), /[\x80-\x9f]/)
    }
  })

  it('says in its own words what is missing', async () => {
    await using server = await serve((request, response) => {
      if (request.url === '/401') response.writeHead(401).end()
      else response.writeHead(200, { 'content-encoding': 'br' }).end('x')
    })
    const said = async (path: string): Promise<string> =>
      (await run(['get', server.url + path, '-qo', '/dev/null'])).err
    assert.match(await said('401'), /answered 401 Unauthorized\. It wants credentials.*--user/)
    assert.match(await said('coded'), /use --decompress to decode it, or --raw to take it as it is/)
    const raw = await run(['get', `${server.url}coded`, '--raw', '-qo', '-'])
    assert.deepEqual([raw.code, raw.out.toString()], [0, 'x'])
  })

  it('answers wrong usage with JSON where it was asked for, and nowhere else', async () => {
    for (const args of [['ftp://x/y'], ['http://x/y', '--retries', '-1'], ['http://x/', '-O']]) {
      const [plain, asked] = await runInTurn([
        ['get', ...args],
        ['get', '--json', ...args],
      ])
      assert.ok(plain !== undefined && asked !== undefined)
      assert.deepEqual([plain.code, plain.out.length], [2, 0], plain.err)
      assert.match(plain.err, /^netmem: USAGE: [^\n]+\n$/)
      assert.equal(asked.code, 2)
      assert.equal(inside(jsonOf(asked), 'error')['code'], 'USAGE')
    }
  })

  it('says what is wrong with these', async () => {
    const empty = file('empty.pem')
    writeFileSync(empty, 'no certificate\n')
    const damaged = file('damaged.pem')
    writeFileSync(damaged, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
    const wrong = [
      [['--retries', '-1'], /--retries .* 0 to 1000/],
      [['--cacert', empty], /--cacert .*empty\.pem has no certificate in it/],
      [['--cacert', damaged], /--cacert .*damaged\.pem has a certificate that is damaged/],
      [['--cacert', file('none')], /--cacert cannot be read: \S+none: no such file/],
      [['--user', 'me'], /NAME:PASSWORD/],
      [['--max-time', '0'], /in seconds/],
      [['--connect-timeout', '1m'], /in seconds/],
      [['-O', '-o', 'x'], /cannot be used with/],
      [['--on-change', 'guess'], /fail, restart/],
      [['--limit', '1m'], /1MiB .* or 1MB/],
    ] as const
    const ends = await runInTurn(wrong.map(([args]) => ['get', 'http://127.0.0.1:1/a', ...args]))
    for (const [i, { code, err }] of ends.entries()) {
      assert.equal(code, 2, err)
      assert.match(err, /^netmem: USAGE: [^\n]+\n$/)
      assert.match(err, wrong[i]?.[1] ?? /^$/)
    }
  })
})
