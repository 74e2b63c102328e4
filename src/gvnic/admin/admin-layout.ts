/**
 * Numbers of the admin queue (K: drivers/net/ethernet/google/gve/gve_adminq.h). All fields of commands
 * are big-endian.
 */

/** Bytes of a command: opcode, status, and 56 bytes of arguments. */
export const COMMAND_BYTES = 64
/** Offset of a command's status. */
export const STATUS = 4
/** Offset of a command's arguments. */
export const ARGUMENTS = 8

export const Opcode = {
  describeDevice: 0x1,
  configureResources: 0x2,
  createTxQueue: 0x5,
  createRxQueue: 0x6,
  destroyTxQueue: 0x7,
  destroyRxQueue: 0x8,
  deconfigureResources: 0x9,
  configureRss: 0xa,
  setDriverParameter: 0xb,
  reportStats: 0xc,
  reportLinkSpeed: 0xd,
  packetTypeMap: 0xe,
  verifyCompatibility: 0xf,
  queryFlowRules: 0x10,
  queryRss: 0x12,
  extended: 0xff,
} as const

/** Opcodes of the longer commands that an extended command points to. */
export const ExtendedOpcode = { configureFlowRule: 0x101 } as const

export const Status = {
  passed: 1,
  alreadyExists: 0xffff_fff1,
  failedPrecondition: 0xffff_fff5,
  internalError: 0xffff_fff6,
  invalidArgument: 0xffff_fff7,
  notFound: 0xffff_fff8,
  resourceExhausted: 0xffff_fffc,
  unimplemented: 0xffff_fffe,
} as const

/** Carries out a command. Its arguments are a copy that the guest cannot change. Returns a {@link Status}. */
export type Handler = (command: DataView) => number
