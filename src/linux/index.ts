/**
 * Linux for real: netlink, and system calls that Node.js does not make, such as memory in huge pages
 * and low-water marks of sockets. Needs koffi, an optional dependency: `npm install koffi@3`.
 */

export type { FlowMatch, FlowRule, FlowType } from '../wire/flow-rules.ts'
export { NetlinkFormatError } from '../wire/netlink-attributes.ts'
export type { UnknownAttribute } from '../wire/netlink-tables.ts'
export * from './devmem/index.ts'
export * from './dma-buf/index.ts'
export { FlowRuleError, FlowRules, type FlowTarget, type OtherRule } from './flow-rules.ts'
export { hugeMemory } from './huge-memory.ts'
export type { Family, Operations, UnknownAttributes } from './netlink/family.ts'
export { ethtool } from './netlink/generated/ethtool.ts'
export type * from './netlink/generated/ethtool-operations.ts'
export type * from './netlink/generated/ethtool-types.ts'
export { netdev } from './netlink/generated/netdev.ts'
export type * from './netlink/generated/netdev-operations.ts'
export type * from './netlink/generated/netdev-types.ts'
export { nlctrl } from './netlink/generated/nlctrl.ts'
export type * from './netlink/generated/nlctrl-operations.ts'
export type * from './netlink/generated/nlctrl-types.ts'
export { rtLink } from './netlink/generated/rt-link.ts'
export type * from './netlink/generated/rt-link-operations.ts'
export type * from './netlink/generated/rt-link-types.ts'
export { rtRoute } from './netlink/generated/rt-route.ts'
export type * from './netlink/generated/rt-route-operations.ts'
export type * from './netlink/generated/rt-route-types.ts'
export type {
  Netlink,
  NetlinkDump,
  NetlinkFamilyInfo,
  NetlinkRequestOptions,
} from './netlink/netlink.ts'
export { NetlinkError } from './netlink/netlink-error.ts'
export { type NetlinkOptions, openNetlink } from './netlink/open-netlink.ts'
export type { AttributePolicies, AttributePolicy, OperationPolicy } from './netlink/policy.ts'
export type { NetlinkEvent, NetlinkSubscription } from './netlink/subscription.ts'
export { type FlowRulesOptions, openFlowRules } from './open-flow-rules.ts'
export { type ErrnoName, type FdLeakReport, LinuxError } from './sys/index.ts'
export { wakeBatching } from './wake-batching.ts'
