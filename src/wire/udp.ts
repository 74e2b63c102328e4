/** UDP headers (RFC 768). */

/** Offset of the checksum. */
export const UDP_CHECKSUM = 6
