/** Numbers of the pcapng format (draft-ietf-opsawg-pcapng), for its reader and its writer. */

export const SECTION_HEADER = 0x0a0d0d0a
export const INTERFACE_DESCRIPTION = 1
/** Obsolete, and still met. */
export const PACKET = 2
export const SIMPLE_PACKET = 3
export const ENHANCED_PACKET = 6
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d
/** Type and length in front, length again behind. */
export const BLOCK_OVERHEAD = 12
/** The fields of packet blocks in front of the packet, type and length included. */
export const ENHANCED_HEADER = 28
export const SIMPLE_HEADER = 12

export const OPT_END = 0
export const IF_TSRESOL = 9
export const IF_TSOFFSET = 14
export const EPB_HASH = 3
export const EPB_QUEUE = 6
/** Toeplitz, as algorithm of {@link EPB_HASH}. Its value has 4 bytes. */
export const HASH_TOEPLITZ = 5
