import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { certificate } from '../net/harness.test.helper.ts'
import { freePorts } from '../testing/free-ports.test.helper.ts'
import { getInto } from './get-into.ts'
import { begins, codeOf, content, freshFolder, sha256, transferring } from './http.test.helper.ts'

const skip =
  spawnSync('nginx', ['-v'], { stdio: 'ignore' }).error !== undefined &&
  'nginx is not installed: `apt-get install nginx-light`'

describe('nginx', { skip }, () => {
  let nginx: ChildProcess | undefined
  let url = ''
  let secureUrl = ''
  const folder = mkdtempSync(join(tmpdir(), 'netmem-nginx-'))
  before(async () => {
    // Workers of an nginx that root starts run as another user.
    chmodSync(folder, 0o755)
    mkdirSync(join(folder, 'root'))
    writeFileSync(join(folder, 'root/body'), content)
    writeFileSync(join(folder, 'root/small'), 'small')
    const [port = 0, securePort = 0] = await freePorts(2)
    const secure =
      certificate === undefined
        ? ''
        : `server { listen 127.0.0.1:${securePort} ssl; root ${folder}/root;
           ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem; }`
    if (certificate !== undefined) {
      writeFileSync(join(folder, 'cert.pem'), certificate.cert)
      writeFileSync(join(folder, 'key.pem'), certificate.key)
    }
    writeFileSync(
      join(folder, 'nginx.conf'),
      `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
       events {}
       http {
         access_log off; sendfile on; gzip on; gzip_types *; gzip_min_length 1;
         client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3;
         uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
         server { listen 127.0.0.1:${port}; root ${folder}/root;
           location /limited/ { alias ${folder}/root/; limit_rate 4m; }
           location /moved { return 302 /body; }
           location /chunked { proxy_pass http://127.0.0.1:${port}/body; proxy_http_version 1.0; gzip off; chunked_transfer_encoding on; }
         }
         ${secure}
       }`,
    )
    nginx = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' })
    url = `http://127.0.0.1:${port}/`
    secureUrl = `https://127.0.0.1:${securePort}/`
    while (nginx.exitCode === null) {
      const socket = net.connect(port, '127.0.0.1')
      const connected = await once(socket, 'connect').then(
        () => true,
        () => false,
      )
      socket.destroy()
      if (connected) return
      await sleep(20)
    }
    assert.fail(readFileSync(join(folder, 'error.log'), 'utf8'))
  })
  after(async () => {
    if (nginx !== undefined) {
      const exited = once(nginx, 'exit')
      nginx.kill('SIGTERM')
      await exited
    }
    rmSync(folder, { recursive: true, force: true })
  })

  it('serves memory, files and ranges, plain and secure', () =>
    transferring(async (options) => {
      const security = certificate === undefined ? {} : { tls: { ca: certificate.cert } }
      const wish = { ...options, ...security, sha256: sha256(content) }
      for (const base of certificate === undefined ? [url] : [url, secureUrl]) {
        for (const connections of [1, 3]) {
          const memory = new Uint8Array(content.length)
          const result = await getInto(`${base}body`, memory, { ...wish, connections })
          assert.equal(result.connections, connections)
          begins(memory, content)
          const { at } = freshFolder()
          await getInto(`${base}body`, { path: at('f') }, { ...wish, connections })
          begins(readFileSync(at('f')), content)
        }
      }
      const memory = new Uint8Array(content.length)
      await getInto(`${url}moved`, memory, wish)
      await getInto(`${url}chunked`, memory, wish)
      assert.equal(await codeOf(getInto(`${url}none`, memory, wish)), 'NETMEM_HTTP_STATUS')
    }))

  it('answers one small request after the other on one connection', () =>
    transferring(async (options) => {
      const memory = new Uint8Array(5)
      for (let i = 0; i < 200; i++) {
        const { timing } = await getInto(`${url}small`, memory, options)
        if (i > 0) assert.equal(timing.connectMs, 0)
      }
      begins(memory, Buffer.from('small'))
    }))

  it('is gone on with after an interruption', () =>
    transferring(async (options) => {
      const { at, names } = freshFolder()
      const destination = { path: at('f'), resume: true }
      const stop = new AbortController()
      const onProgress = (bytes: number): void => {
        if (bytes > 500_000) stop.abort()
      }
      const first = getInto(`${url}limited/body`, destination, {
        ...options,
        signal: stop.signal,
        onProgress,
      })
      assert.equal(await codeOf(first), 'NETMEM_ABORTED')
      const left = readFileSync(at(names().find((name) => name.endsWith('.part')) ?? ''))
      assert.ok(left.length > 0 && left.length < content.length)
      const { head } = await getInto(`${url}body`, { path: at('g'), resume: true }, options)
      assert.equal(head.status, 200)
      const again = await getInto(`${url}limited/body`, destination, {
        ...options,
        sha256: sha256(content),
      })
      assert.equal(again.head.status, 206)
      begins(readFileSync(at('f')), content)
      assert.deepEqual(names(), ['f', 'g'])
    }))

  it('is decoded where that is asked for', () =>
    transferring(async (options) => {
      const memory = new Uint8Array(5)
      await getInto(`${url}small`, memory, { ...options, decompress: true })
      begins(memory, Buffer.from('small'))
    }))
})
