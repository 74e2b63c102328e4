/** Archives in the format of initial RAM disks (K: Documentation/driver-api/early-userspace/buffer-format.rst). */

/** A file of an archive. Without bytes it is a folder. */
export interface Entry {
  /** Relative, such as `bin/busybox`. Its folder stands before it. */
  readonly path: string
  readonly bytes?: Uint8Array
  readonly executable?: boolean
}

const FOLDER = 0o040755
const FILE = 0o100644
const PROGRAM = 0o100755

/** Returns an archive of format "newc", not compressed. */
export function cpio(entries: readonly Entry[]): Buffer {
  const parts: Buffer[] = []
  entries.forEach(({ path, bytes, executable = false }, at) => {
    const mode = bytes === undefined ? FOLDER : executable ? PROGRAM : FILE
    parts.push(...member(path, mode, at + 1, bytes ?? new Uint8Array(0)))
  })
  parts.push(...member('TRAILER!!!', 0, 0, new Uint8Array(0)))
  return Buffer.concat(parts)
}

function member(path: string, mode: number, inode: number, bytes: Uint8Array): readonly Buffer[] {
  const name = `${path}\0`
  const links = 1
  // inode, mode, uid, gid, links, time, size, device of the file, device it stands for, name's size, sum
  const fields = [inode, mode, 0, 0, links, 0, bytes.length, 0, 0, 0, 0, Buffer.byteLength(name), 0]
  const hex = fields.map((field) => field.toString(16).padStart(8, '0'))
  return [padded(Buffer.from(`070701${hex.join('')}${name}`)), padded(Buffer.from(bytes))]
}

/** Headers and contents end at multiples of 4 bytes. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}
