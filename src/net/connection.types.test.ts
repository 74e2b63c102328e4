// Sockets are a driver of pages: what the compiler refuses to have received into, and whose bytes.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import type { DeviceFrag, Frag, HostFrag, NetIov, Netmem, Page, PagePool } from '../index.ts'
import { compiled } from '../testing/pools.test.helper.ts'
import { adopt, type Connection, connect, listen, receiveBody, receiveInto } from './index.ts'

declare const pages: PagePool<Page>
declare const iovs: PagePool<NetIov>
declare const either: PagePool<Netmem>
declare const page: Page
declare const socket: Socket
declare const request: IncomingMessage
declare const connection: Connection
declare const device: Connection<DeviceFrag>

test('sockets take pools of pages, and no other', () => {
  compiled(() => {
    void connect({ pool: pages, port: 1 })
    // @ts-expect-error a pool of net_iovs
    void connect({ pool: iovs, port: 1 })
    // @ts-expect-error a pool of either
    void connect({ pool: either, port: 1 })
    // @ts-expect-error a pool of net_iovs
    void listen({ pool: iovs, port: 1 })
    // @ts-expect-error a pool of either
    void listen({ pool: either, port: 1 })
    // @ts-expect-error a pool of net_iovs
    adopt(socket, { pool: iovs })
    // @ts-expect-error a pool of either
    adopt(socket, { pool: either })
    // @ts-expect-error a pool of net_iovs
    receiveBody(request, iovs)
    // @ts-expect-error a pool of either
    receiveBody(request, either)
    // @ts-expect-error a page is no destination: its bytes are
    void receiveInto(connection, page)
  })
})

test('a socket is a port or a path', () => {
  compiled(() => {
    void connect({ pool: pages, path: '/a' })
    void listen({ pool: pages, path: '/a' })
    // @ts-expect-error neither
    void connect({ pool: pages })
    // @ts-expect-error neither
    void listen({ pool: pages })
    // @ts-expect-error both
    void connect({ pool: pages, port: 1, path: '/a' })
    // @ts-expect-error both
    void listen({ pool: pages, port: 1, path: '/a' })
  })
})

test('a connection into device memory is not one into host memory', () => {
  expectTypeOf<Connection>().toExtend<Connection<Frag>>()
  expectTypeOf<Connection<DeviceFrag>>().not.toExtend<Connection>()
  expectTypeOf<Connection['pool']>().toEqualTypeOf<PagePool<Page>>()
  expectTypeOf<Connection<DeviceFrag>['pool']>().toEqualTypeOf<undefined>()
  compiled(() => {
    // @ts-expect-error the host may not read what it received
    void receiveInto(device, new Uint8Array(1))
    // @ts-expect-error nor pass it on
    void device.pipeTo(connection)
  })
})

test('what sockets bring is in host memory', () => {
  expectTypeOf<Connection>().toExtend<AsyncIterable<HostFrag>>()
  compiled(() => {
    expectTypeOf(receiveBody(request, pages)).toEqualTypeOf<AsyncIterable<HostFrag>>()
  })
})

test('sockets have never heard of device memory', () => {
  const declarations = readdirSync('dist/net', { encoding: 'utf8', recursive: true })
    .filter((path) => /(^|\/)[^./]+\.d\.ts$/.test(path))
    .concat('../connection.d.ts')
  assert.ok(declarations.includes('driver/socket-driver.d.ts'))
  for (const name of declarations) {
    assert.doesNotMatch(readFileSync(`dist/net/${name}`, 'utf8'), /NetIov|Netmem\b/, name)
  }
})
