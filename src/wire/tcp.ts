/** TCP headers (RFC 9293, 3.1). */

/** Flags, as their byte in the header has them (RFC 9293, 3.1; RFC 3168, 6.1). */
export const FIN = 1
export const SYN = 2
export const RST = 4
export const PSH = 8
export const ACK = 16
export const URG = 32

/** Offset of the checksum. */
export const TCP_CHECKSUM = 16
