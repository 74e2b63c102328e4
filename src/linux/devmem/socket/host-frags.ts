import { HandleError } from '../../../errors.ts'
import type { Frag, HostFrag } from '../../../pool/frag.ts'

/** Yields the frags of a connection that the host may read, and fails at the first other one. */
export async function* hostFragsOf(
  connection: AsyncIterable<Frag>,
): AsyncGenerator<HostFrag, void, void> {
  for await (const frag of connection) {
    if (frag.kind === 'page') {
      yield frag
      continue
    }
    frag.release()
    throw new HandleError(
      'NETMEM_WRONG_KIND',
      'Payload in device memory cannot be piped: the host does not see it. Receive its frags.',
    )
  }
}
