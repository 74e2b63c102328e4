/** Types of a netlink family: its numbers, its tables, and the types of its operations. */

import type { Tables, UnknownAttribute } from '../../wire/netlink-tables.ts'

/** Attributes that the tables of this version do not have. Every set of attributes may hold some. */
export interface UnknownAttributes {
  /** Attributes of a newer kernel, or ones that the tables leave out, with their bytes. */
  readonly 'unknown-attributes'?: readonly UnknownAttribute[]
}

/** `Set` with attributes that every reply has. */
export type Having<Set, Name extends keyof Set> = Set & { readonly [Key in Name]-?: Set[Key] }

/** Attributes of a request and of its reply, for one mode of an operation. */
interface RequestAndReply<Request, Reply> {
  /** Attributes that it takes. */
  readonly request: Request
  /** Attributes that it returns, or undefined if the kernel only acknowledges it. */
  readonly reply: Reply
}

/** An operation that asks for one object, or changes it. */
export interface Do<Request, Reply> {
  /** Attributes for `netlink.do()`. */
  readonly do: RequestAndReply<Request, Reply>
}

/** An operation that lists objects. */
export interface Dump<Request, Reply> {
  /** Attributes for `netlink.dump()`. Its reply has them for each object. */
  readonly dump: RequestAndReply<Request, Reply>
}

/** Operations of a family by name: those that ask for one object, those that list all, or both. */
export type Operations<All> = {
  readonly [Name in keyof All]: Partial<Do<object, unknown> & Dump<object, unknown>>
}

/** Numbers and types of an operation or an event. */
export interface OperationRow {
  /** Set of the attributes that it takes and returns. */
  readonly set: string
  /** Number of the request. Absent for events. */
  readonly request?: number
  /** Number of the reply. Absent for operations that are only acknowledged. */
  readonly reply?: number
  /** Struct in front of the attributes. */
  readonly header?: string
  /** Attributes without which a reply is malformed. */
  readonly always?: readonly string[]
}

/** All that the client needs to know of a family. */
export interface FamilyTables extends Tables {
  /** Name of the specification, and of the family in generic netlink. */
  readonly name: string
  /** Version in the header of generic netlink. Absent for other protocols. */
  readonly version?: number
  /** Number of a protocol other than generic netlink, such as 0 for rtnetlink. */
  readonly protocol?: number
  /** Operations by name. */
  readonly operations: Readonly<Record<string, OperationRow>>
  /** Notifications by name. */
  readonly events: Readonly<Record<string, OperationRow>>
  /** Multicast groups with their numbers. Generic netlink gives them numbers at run time: 0 here. */
  readonly groups: Readonly<Record<string, number>>
}

/** The types of a family's operations and events by name. */
interface FamilyTypes<All, Events> {
  /** Operations. */
  readonly operations: All
  /** Notifications. */
  readonly events: Events
}

/**
 * A family of netlink operations, generated from the kernel's specification. The client takes it as the
 * first argument of each call. `All` and `Events` are the types of its operations and events by name.
 */
export interface Family<All extends Operations<All>, Events extends object> extends FamilyTables {
  /** Never set. It carries types for the compiler. */
  readonly types?: FamilyTypes<All, Events>
}

/** Names of the operations that have the mode. */
export type NamesWith<All extends Operations<All>, Mode extends 'do' | 'dump'> = {
  readonly [Name in keyof All]: All[Name] extends { readonly [Key in Mode]: object } ? Name : never
}[keyof All] &
  string

/** Attributes that an operation takes. */
export type RequestOf<All, Name extends keyof All, Mode extends 'do' | 'dump'> = All[Name] extends {
  readonly [Key in Mode]: RequestAndReply<infer Request extends object, unknown>
}
  ? Request
  : never

/** Attributes that an operation returns, once for `do` and once an object for `dump`. */
export type ReplyOf<All, Name extends keyof All, Mode extends 'do' | 'dump'> = All[Name] extends {
  readonly [Key in Mode]: RequestAndReply<unknown, infer Reply>
}
  ? Reply
  : never
