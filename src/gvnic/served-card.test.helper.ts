/** The driver model on a card that another thread or process serves. */

import { pumping } from '../testing/waiting.test.helper.ts'
import type { AccessBytes, PciBar, PciDevice, PciIdentity, PciMsix } from '../vfio-user/index.ts'
import { connectTestMachine, type TestMachine } from '../vfio-user/testing/index.ts'
import { DriverModel } from './testing/driver-model.test.helper.ts'
import type { ReceivedPacket } from './testing/driver-rx.test.helper.ts'

/** A card behind a socket, as a device of this thread. */
class ServedCard implements PciDevice {
  readonly identity: PciIdentity = { vendorId: 0x1ae0, deviceId: 0x0042, classCode: 0x02_0000 }
  readonly bars: readonly PciBar[] = []
  readonly msix: PciMsix = { bar: 1, vectors: 1 }
  readonly #machine: TestMachine

  constructor(machine: TestMachine) {
    this.#machine = machine
  }

  // The machine's memory is mapped when it connects.
  attach(): void {}

  detach(): void {}

  read(bar: number, offset: number, bytes: AccessBytes): number {
    return this.#machine.readRegister(bar, offset, bytes)
  }

  write(bar: number, offset: number, bytes: AccessBytes, value: number): void {
    this.#machine.writeRegister(bar, offset, bytes, value)
  }

  reset(): void {
    this.#machine.reset()
  }
}

/** A machine that has a served card, and the driver in it. */
export interface ServedDriver extends Disposable {
  readonly machine: TestMachine
  readonly driver: DriverModel
}

/** Connects a machine with `memoryBytes` of memory to the card at `path`. */
export function connectServedCard(
  path: string,
  memoryBytes: number,
): { readonly card: PciDevice; readonly machine: TestMachine } {
  const machine = connectTestMachine(path, { memoryBytes })
  return { card: new ServedCard(machine), machine }
}

/** Connects a machine with `memoryBytes` of memory to the card at `path`, with the driver model in it. */
export function connectDriver(path: string, memoryBytes: number = 2 ** 26): ServedDriver {
  const { card, machine } = connectServedCard(path, memoryBytes)
  const driver = new DriverModel(card, { base: 0, memory: machine.memory })
  // Address 0 stands for no memory in places.
  driver.memory.allocate(1)
  return { machine, driver, [Symbol.dispose]: () => machine.close() }
}

/** Collects packets until there are `count`. */
export async function received(driver: DriverModel, count: number): Promise<ReceivedPacket[]> {
  const packets: ReceivedPacket[] = []
  await pumping(
    () => packets.push(...driver.poll()),
    () => packets.length >= count,
  )
  return packets
}
