// The loop of the cards' thread, in this thread: with eventfds as machines.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  EFD_NONBLOCK,
  eventfd,
  type OwnedFd,
  POLLIN,
  PollSet,
  read,
  write,
} from '../../linux/sys/index.ts'
import { DeviceError } from '../../stack/device-error.ts'
import { VfioUserError } from '../../vfio-user/index.ts'
import { runCards, type ServedCard } from './card-loop.ts'

const skip = process.platform !== 'linux' && 'needs Linux'

function ring(fd: OwnedFd): void {
  write(fd.fd, new Uint8Array(BigUint64Array.of(1n).buffer))
}

function clear(fd: OwnedFd): void {
  assert.equal(read(fd.fd, new Uint8Array(8)), 8)
}

/** A card whose machine asks by an eventfd, and has its answer when that is read. */
class NotedCard implements ServedCard {
  readonly events: string[] = []
  readonly machine = eventfd(0, EFD_NONBLOCK)
  /** Frames of each turn to come, or its error. */
  readonly turns: (number | Error)[] = []
  refusal: Error | undefined
  descriptors: readonly OwnedFd['fd'][] = []
  readonly card = {
    linkUp: true,
    receives: true,
    paused: false,
    poll: (): number => {
      this.events.push('turn')
      const frames = this.turns.shift() ?? 0
      if (frames instanceof Error) throw frames
      return frames
    },
  }
  readonly link: ServedCard['link']
  readonly server: ServedCard['server']

  constructor() {
    const noted = this
    this.link = {
      nextAtNs: () => {
        this.events.push('sleep')
        return Number.POSITIVE_INFINITY
      },
      get descriptors() {
        return noted.descriptors
      },
    }
    this.server = {
      fd: this.machine.fd,
      events: POLLIN,
      step: () => {
        this.events.push('answer')
        clear(this.machine)
        if (this.refusal !== undefined) throw this.refusal
        return 1
      },
    }
  }
}

/** Runs the loop until its eventfd was written `wakes` times. Returns the faults. */
function run(cards: readonly NotedCard[], wakes: number, onWake = (_wake: number) => {}): string[] {
  using wake = eventfd(1, EFD_NONBLOCK)
  const faults: string[] = []
  let seen = 0
  runCards(cards, wake.fd, {
    wake: () => {
      onWake(++seen)
      if (seen < wakes) ring(wake)
      return seen < wakes
    },
    fault: (card, { code }) => faults.push(`${cards.indexOf(card)} ${code}`),
  })
  for (const { machine } of cards) machine.close()
  return faults
}

test('machines that ask are answered, each card has its turns, and a message ends it', {
  skip,
}, () => {
  const cards = [new NotedCard(), new NotedCard()]
  const faults = run(cards, 3, (wake) => {
    const asking = cards[wake - 1]
    if (asking !== undefined) ring(asking.machine)
  })
  // The card answers in its next turn what a machine asks during a message.
  const [first, second] = cards.map(({ events }) => events.join(' '))
  assert.equal(first, 'sleep turn sleep answer turn sleep')
  assert.equal(second, 'sleep turn sleep turn sleep')
  assert.deepEqual(faults, [])
})

test('it does not sleep after a turn that moved frames', { skip }, () => {
  const busy = new NotedCard()
  busy.turns.push(2, 0)
  run([busy], 3)
  assert.equal(busy.events.join(' '), 'sleep turn turn sleep')
})

test('a link that fails goes down, a machine that is refused is reported, and others continue', {
  skip,
}, () => {
  const [broken, refused, other] = [new NotedCard(), new NotedCard(), new NotedCard()]
  broken.turns.push(new DeviceError('NETMEM_TAP_GONE', 'ENODEV', 'The interface is gone.'))
  refused.refusal = new VfioUserError('NETMEM_VFIO_USER_VERSION', 'Another version.')
  ring(refused.machine)
  const faults = run([broken, refused, other], 2)
  assert.deepEqual(faults, ['1 NETMEM_VFIO_USER_VERSION', '0 NETMEM_TAP_GONE'])
  assert.deepEqual([broken.card.linkUp, refused.card.linkUp], [false, true])
  assert.deepEqual(other.events, ['sleep', 'turn', 'sleep'])
})

test('an error of other kinds ends the loop', { skip }, () => {
  for (const place of ['turns', 'refusal'] as const) {
    const card = new NotedCard()
    const error = new TypeError('a mistake')
    if (place === 'turns') card.turns.push(error)
    else card.refusal = error
    ring(card.machine)
    assert.throws(() => run([card], 2), error)
    card.machine.close()
  }
})

test('a frame on a link ends the sleep, until the link has no descriptors', { skip }, (t) => {
  const wait = t.mock.method(PollSet.prototype, 'wait')
  using queue = eventfd(1, EFD_NONBLOCK)
  const card = new NotedCard()
  card.descriptors = [queue.fd]
  run([card], 2, () => {
    card.descriptors = []
  })
  assert.deepEqual(
    wait.mock.calls.map(({ result }) => result),
    [2, 1],
  )
})
