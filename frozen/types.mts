// Programs that must not compile, line by line, and what must. Compiled by types.test.mjs.
import {
  createPool,
  type DeviceFrag,
  dualPool,
  type Frag,
  type HostFrag,
  hostProvider,
  isNetIov,
  isPage,
  type NetIov,
  type Netmem,
  type Page,
  type PagePool,
} from 'netmem'
import { testDeviceProvider } from 'netmem/testing'

const pages: PagePool<Page> = createPool(hostProvider({ pages: 1 }))
const iovs: PagePool<NetIov> = createPool(testDeviceProvider({ netIovs: 1 }))
const either: PagePool<Netmem> = dualPool(hostProvider({ pages: 1 }))

export function handles(page: Page, iov: NetIov, m: Netmem, bytes: Uint8Array): void {
  const widened: Netmem[] = [page, iov]
  // @ts-expect-error
  const a: Page = iov
  // @ts-expect-error
  const b: NetIov = page
  // @ts-expect-error
  const c: Page = m
  // @ts-expect-error
  const d: number = page
  // @ts-expect-error
  const e: Page = 1
  // @ts-expect-error
  bytes[iov]
  // @ts-expect-error
  page + 1
  if (isPage(m)) pages.bytes(m)
  if (isNetIov(m)) iovs.put(m)
  void [widened, a, b, c, d, e]
}

export function poolsAreInvariant(page: Page, iov: NetIov, m: Netmem): void {
  // @ts-expect-error
  const a: PagePool<Page> = iovs
  // @ts-expect-error
  const b: PagePool<Page> = either
  // @ts-expect-error
  const c: PagePool<Netmem> = pages
  // @ts-expect-error
  const d: { put(m: Netmem): void } = pages
  // @ts-expect-error
  pages.put(iov)
  // @ts-expect-error
  pages.put(m)
  // @ts-expect-error
  iovs.bytes(iov)
  // @ts-expect-error
  either.bytes(m)
  // @ts-expect-error
  createPool<Netmem>(hostProvider({ pages: 1 }))
  either.put(m)
  either.put(page)
  either.bytes(page)
  void [a, b, c, d]
}

export function frags(frag: Frag, host: HostFrag, device: DeviceFrag): void {
  // @ts-expect-error
  frag.bytes
  // @ts-expect-error
  device.bytes
  // @ts-expect-error
  const a: HostFrag = frag
  // @ts-expect-error
  host.token
  const all: Frag[] = [host, device]
  if (frag.kind === 'page') frag.bytes.fill(0)
  else frag.offset.toFixed()
  void [a, all]
}
