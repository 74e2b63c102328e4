// Memory that the compiler lets each driver have.
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import type { NetIov, Netmem, Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { AnySkb, Skb } from '../skb/skb.ts'
import { type BindRxOptions, bindRx } from './bind-rx.ts'
import type { DriverNic } from './driver-nic.ts'
import { type NetmemDriver, type NetmemDriverOptions, openNetmemDriver } from './netmem-driver.ts'
import { openPageDriver, type PageDriver, type PageDriverOptions } from './page-driver.ts'

declare const nic: DriverNic
declare const pages: PagePool<Page>
declare const netIovs: PagePool<NetIov>
declare const either: PagePool<Netmem>
declare const pageDriver: PageDriver
declare const netmemDriver: NetmemDriver
declare const binding: BindRxOptions
declare const takesPages: (skb: Skb<Page>) => void
declare const takesNetIovs: (skb: Skb<NetIov>) => void
declare const takesAny: (skb: AnySkb) => void

/** Compiled, never run. */
export function combinations(): void {
  void openPageDriver(nic, { pools: [pages], headerPool: pages, deliver: takesPages })
  void openPageDriver(nic, { pools: [pages], headerPool: pages, deliver: takesAny })
  // @ts-expect-error pools of device memory
  void openPageDriver(nic, { pools: [netIovs], headerPool: pages, deliver: takesPages })
  // @ts-expect-error dual pools
  void openPageDriver(nic, { pools: [either], headerPool: pages, deliver: takesPages })
  // @ts-expect-error headers in device memory
  void openPageDriver(nic, { pools: [pages], headerPool: netIovs, deliver: takesPages })
  // @ts-expect-error headers in either
  void openPageDriver(nic, { pools: [pages], headerPool: either, deliver: takesPages })
  // @ts-expect-error it delivers pages
  void openPageDriver(nic, { pools: [pages], headerPool: pages, deliver: takesNetIovs })

  void openNetmemDriver(nic, { pools: [either], headerPool: pages, deliver: takesAny })
  // @ts-expect-error pools of pages alone
  void openNetmemDriver(nic, { pools: [pages], headerPool: pages, deliver: takesAny })
  // @ts-expect-error pools of device memory alone
  void openNetmemDriver(nic, { pools: [netIovs], headerPool: pages, deliver: takesAny })
  // @ts-expect-error headers in either
  void openNetmemDriver(nic, { pools: [either], headerPool: either, deliver: takesAny })
  // @ts-expect-error headers in device memory
  void openNetmemDriver(nic, { pools: [either], headerPool: netIovs, deliver: takesAny })
  // @ts-expect-error what it delivers may be unreadable
  void openNetmemDriver(nic, { pools: [either], headerPool: pages, deliver: takesPages })

  void bindRx(netmemDriver, binding)
  // @ts-expect-error a driver of pages
  void bindRx(pageDriver, binding)
}

test('drivers and their options are not each other', () => {
  expectTypeOf<PageDriver>().not.toExtend<NetmemDriver>()
  expectTypeOf<NetmemDriver>().not.toExtend<PageDriver>()
  expectTypeOf<PageDriverOptions>().not.toExtend<NetmemDriverOptions>()
  expectTypeOf<NetmemDriverOptions>().not.toExtend<PageDriverOptions>()
})
