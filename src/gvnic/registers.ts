/**
 * Registers in BAR 0, big-endian (K: drivers/net/ethernet/google/gve/gve_register.h). A write takes
 * effect if it is exactly one register that the driver may write. Other writes are ignored.
 */

import { letterOf } from './guest-text.ts'

export const REGISTER_BYTES = 4096

// Offsets.
const DEVICE_STATUS = 0x00
const DRIVER_STATUS = 0x04
const MAX_TX_QUEUES = 0x08
const MAX_RX_QUEUES = 0x0c
const ADMIN_DOORBELL = 0x14
const ADMIN_EVENT_COUNTER = 0x18
const DRIVER_VERSION = 0x1f
const ADMIN_BASE_HIGH = 0x20
const ADMIN_BASE_LOW = 0x24
const ADMIN_LENGTH = 0x28
const USED_BYTES = 0x2c

/** Device status: the link is up. */
const STATUS_LINK_UP = 1 << 2
/** Device status: the reset that the driver asked for is done. */
const STATUS_IS_RESET = 1 << 4
const DRIVER_RUN = 1 << 0
const DRIVER_RESET = 1 << 1

const MAX_VERSION_LENGTH = 128
const LINE_FEED = 10

/** Effects of the registers that the driver writes. */
export interface RegisterEffects {
  /** The driver has rung the doorbell of the admin queue with its count of commands. */
  adminDoorbell(count: number): void
  /** The driver asks for a reset of the whole card. */
  driverReset(): void
}

export class Registers {
  /** Version that the driver has written, without its line feed. */
  driverVersion = ''
  /** True if the driver runs, since its last reset. */
  running = false
  readonly #effects: RegisterEffects
  /** Registers as the bus shows them. */
  readonly #view = new DataView(new ArrayBuffer(USED_BYTES))
  #line = ''
  #linkUp = true

  constructor(queues: number, effects: RegisterEffects) {
    this.#effects = effects
    this.#view.setUint32(MAX_TX_QUEUES, queues)
    this.#view.setUint32(MAX_RX_QUEUES, queues)
  }

  /** Address of the admin queue. 0 before the driver has written it. */
  get adminAddress(): number {
    const view = this.#view
    return view.getUint32(ADMIN_BASE_HIGH) * 2 ** 32 + view.getUint32(ADMIN_BASE_LOW)
  }

  /** Bytes of the admin queue. */
  get adminBytes(): number {
    return this.#view.getUint16(ADMIN_LENGTH)
  }

  /** Commands that the card has done, modulo 2^32. */
  get adminEvents(): number {
    return this.#view.getUint32(ADMIN_EVENT_COUNTER)
  }

  set adminEvents(count: number) {
    this.#view.setUint32(ADMIN_EVENT_COUNTER, count)
  }

  get linkUp(): boolean {
    return this.#linkUp
  }

  /** Sets the link's state, which the driver sees while it runs. */
  set linkUp(up: boolean) {
    this.#linkUp = up
    if (this.running) this.#showLink()
  }

  /** Reads 1, 2 or 4 bytes, as a number in little-endian order. What is no register reads as 0. */
  read(offset: number, bytes: number): number {
    if (offset + bytes > USED_BYTES) return 0
    if (bytes === 4) return this.#view.getUint32(offset, true)
    return bytes === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint8(offset)
  }

  /** Writes 1, 2 or 4 bytes, as a number in little-endian order. */
  write(offset: number, bytes: number, value: number): void {
    if (bytes === 4) this.#writeWord(offset, swap32(value))
    else if (bytes === 2 && offset === ADMIN_LENGTH) this.#view.setUint16(offset, value, true)
    else if (bytes === 1 && offset === DRIVER_VERSION) this.#addVersion(value)
  }

  /** Sets the values after power-on, which show a finished reset. */
  reset(): void {
    this.running = false
    const view = this.#view
    view.setUint32(DEVICE_STATUS, STATUS_IS_RESET)
    for (const at of [DRIVER_STATUS, ADMIN_DOORBELL, ADMIN_EVENT_COUNTER]) view.setUint32(at, 0)
    for (const at of [ADMIN_BASE_HIGH, ADMIN_BASE_LOW]) view.setUint32(at, 0)
    view.setUint16(ADMIN_LENGTH, 0)
  }

  /** Forgets the driver's version, which a driver that resets the card does not write again. */
  forgetDriver(): void {
    this.driverVersion = ''
    this.#line = ''
  }

  #writeWord(offset: number, value: number): void {
    switch (offset) {
      case ADMIN_BASE_HIGH:
      case ADMIN_BASE_LOW:
        this.#view.setUint32(offset, value)
        return
      case DRIVER_STATUS:
        this.#view.setUint32(offset, value)
        this.#setDriverStatus(value)
        return
      case ADMIN_DOORBELL:
        this.#view.setUint32(offset, value)
        this.#effects.adminDoorbell(value)
    }
  }

  #setDriverStatus(value: number): void {
    if ((value & DRIVER_RESET) !== 0) this.#effects.driverReset()
    else if ((value & DRIVER_RUN) !== 0) {
      this.running = true
      this.#showLink()
    }
  }

  #showLink(): void {
    this.#view.setUint32(DEVICE_STATUS, this.#linkUp ? STATUS_LINK_UP : 0)
  }

  /** The driver writes its version letter by letter. */
  #addVersion(letter: number): void {
    if (letter === LINE_FEED) {
      this.driverVersion = this.#line
      this.#line = ''
    } else if (this.#line.length < MAX_VERSION_LENGTH) this.#line += letterOf(letter)
  }
}

function swap32(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
}
