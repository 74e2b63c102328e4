import { NetlinkError } from './netlink/netlink-error.ts'

/** Resolves to undefined where the driver or the kernel lacks what was asked for (EOPNOTSUPP). */
export async function unlessUnsupported<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === 'EOPNOTSUPP') return undefined
    throw error
  }
}
