/** Text that the guest writes, such as its driver's version. It is shown in terminals. */

/** Returns the letter of a byte: ASCII that can be printed, and `?` for all else. */
export function letterOf(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?'
}
