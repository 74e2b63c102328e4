// Destinations and options that the compiler takes.
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import type { NetIov, Netmem, Page, PagePool } from '../index.ts'
import { compiled } from '../testing/pools.test.helper.ts'
import { type GetResult, getInto } from './index.ts'

declare const pages: PagePool<Page>
declare const iovs: PagePool<NetIov>
declare const either: PagePool<Netmem>

test('a destination is host memory, or what becomes it', () => {
  compiled(() => {
    expectTypeOf(getInto('', new Uint8Array(1))).resolves.toEqualTypeOf<GetResult>()
    void getInto(new URL('http://a/'), new SharedArrayBuffer(1))
    void getInto('', new ArrayBuffer(1))
    void getInto('', (head, length) => {
      expectTypeOf(head.status).toEqualTypeOf<number>()
      expectTypeOf(length).toEqualTypeOf<number | undefined>()
      return new Uint8Array(1)
    })
    void getInto('', async () => new Uint8Array(1))
    void getInto('', { path: 'a', resume: true, pool: pages })
    void getInto('', { pool: pages, onFrag: (frag) => frag.release() })
    // @ts-expect-error a DataView is no memory to fill
    void getInto('', new DataView(new ArrayBuffer(1)))
    // @ts-expect-error sockets do not write to device memory
    void getInto('', { pool: iovs, onFrag: (frag) => frag.release() })
    // @ts-expect-error nor to what may be device memory
    void getInto('', { path: 'a', pool: either })
    // @ts-expect-error frags need a function that takes them
    void getInto('', { pool: pages })
    // @ts-expect-error either a token or a name with a password
    void getInto('', new Uint8Array(1), { authorization: { username: 'a' } })
    // @ts-expect-error there are two ways to take a change
    void getInto('', new Uint8Array(1), { onChange: 'ignore' })
  })
})
