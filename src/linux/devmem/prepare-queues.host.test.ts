// Arguments of prepareQueues(), which are checked before the card: here there is none.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.test.helper.ts'
import { prepareQueues } from './prepare-queues.ts'

const NO_SUCH_INTERFACE = 999_999

describe('prepareQueues', () => {
  const tcp4 = { type: 'tcp4' }
  const refused: readonly [string, object, string, RegExp?][] = [
    ['no queues', { queues: [] }, 'NETMEM_INVALID_ARGUMENT'],
    ['a queue twice', { queues: [1, 1] }, 'NETMEM_OUT_OF_RANGE', /1 twice/],
    ['flows that are no array', { flows: tcp4 }, 'NETMEM_INVALID_ARGUMENT', /array/],
    ['a flow of no type', { flows: [{}] }, 'NETMEM_INVALID_ARGUMENT', /'tcp4' or 'udp4'/],
    [
      'a misspelt field, which would steer every flow',
      { flows: [{ ...tcp4, localPort: 5201 }] },
      'NETMEM_INVALID_ARGUMENT',
      /localPort.*destinationPort/,
    ],
    ['a port beyond the last', { flows: [{ ...tcp4, sourcePort: 65_536 }] }, 'NETMEM_OUT_OF_RANGE'],
    ['a port as text', { flows: [{ ...tcp4, sourcePort: '80' }] }, 'NETMEM_INVALID_ARGUMENT'],
    [
      'an address of the other version',
      { flows: [{ ...tcp4, sourceAddress: '::1' }] },
      'NETMEM_OUT_OF_RANGE',
      /no address such as ::1/,
    ],
    [
      'an invalid address',
      { flows: [{ ...tcp4, destinationAddress: '300.0.0.1' }] },
      'NETMEM_OUT_OF_RANGE',
    ],
    [
      'an address as a number',
      { flows: [{ ...tcp4, destinationAddress: 1 }] },
      'NETMEM_INVALID_ARGUMENT',
      /text, not 1/,
    ],
    ['a queue as text', { flows: [{ ...tcp4, queue: '1' }] }, 'NETMEM_INVALID_ARGUMENT'],
    ['another queue', { flows: [{ ...tcp4, queue: 2 }] }, 'NETMEM_OUT_OF_RANGE', /none of the/],
    ['an unknown option', { queue: 1 }, 'NETMEM_INVALID_ARGUMENT'],
  ]
  for (const [what, wrong, code, words] of refused) {
    it(`refuses ${what} before it looks for the card`, async () => {
      const options = { ifindex: NO_SUCH_INTERFACE, queues: [1], ...wrong }
      await assert.rejects(prepareQueues(options), failsWith(code, words))
    })
  }
})
