// Reads the kernel's specifications of netlink families, of which netlink-tables.mjs makes TypeScript.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

// Families, and what is taken of those that are large. `always` names the attributes that every reply
// of an operation has, or every reply and event of a set. The decoder checks it, so their types are not
// optional.
export const FAMILIES = [
  {
    spec: 'netdev',
    always: {
      dev: ['ifindex'],
      'queue-get': ['id', 'ifindex', 'type'],
      'queue-create': ['id'],
      napi: ['id', 'ifindex'],
      'page-pool': ['id'],
      'page-pool-stats': ['info'],
      qstats: ['ifindex'],
      dmabuf: ['id'],
    },
  },
  {
    spec: 'ethtool',
    operations: /^(strset-get|linkstate-get|(features|privflags|rings|channels|rss)-.*)$/,
    always: {},
  },
  {
    spec: 'nlctrl',
    // The specification of 7.3 has mask before pad. The kernel has it behind (K: include/uapi/linux/
    // netlink.h, NL_POLICY_TYPE_ATTR_MASK).
    numbers: { 'policy-attrs': { mask: 12 } },
    always: {},
  },
  {
    spec: 'rt-link',
    operations: /^(new|del|get|set)link(-ntf)?$/,
    attributes: {
      'link-attrs':
        /^(address|ifname|mtu|link|operstate|linkinfo|group|alt-ifname|(min|max)-mtu|num-[rt]x-queues|carrier|net-ns-(pid|fd)|link-netnsid|target-netnsid|new-ifindex|parent-dev-(bus-)?name|ext-mask)$/,
    },
    choices: /^netkit$/,
    always: { 'link-attrs': ['ifname'] },
  },
  {
    spec: 'rt-route',
    operations: /^getroute$/,
    attributes: { 'route-attrs': /^(dst|oif|gateway|prefsrc|table)$/ },
    always: {},
  },
]

/** Reads a specification into what the tables and types need of it. */
export function family(source, choice) {
  const text = readFileSync(join(source, `Documentation/netlink/specs/${choice.spec}.yaml`), 'utf8')
  if (!/^# SPDX-License-Identifier: .*\bBSD-3-Clause\b/.test(text)) {
    throw new Error(`${choice.spec}.yaml is not under BSD-3-Clause.`)
  }
  const spec = parse(text)
  const definitions = new Map((spec.definitions ?? []).map((each) => [each.name, each]))
  const rawSets = new Map(spec['attribute-sets'].map((set) => [set.name, set]))
  const messages = new Map((spec['sub-messages'] ?? []).map((each) => [each.name, each]))
  const sets = new Map()
  const enums = new Map()
  const structs = new Map()

  function rowsOf(raw) {
    let next = 0
    const numbers = choice.numbers?.[raw.name]
    const parent = raw['subset-of'] === undefined ? undefined : setOf(raw['subset-of'], true)
    return raw.attributes.map((attribute) => {
      const inherited = parent?.find(({ name }) => name === attribute.name)
      next = attribute.value ?? next + 1
      return { ...inherited, ...attribute, id: numbers?.[attribute.name] ?? inherited?.id ?? next }
    })
  }

  function setOf(name, whole = false) {
    const raw = rawSets.get(name)
    if (raw === undefined) throw new Error(`${choice.spec}.yaml has no attribute set ${name}.`)
    const wanted = choice.attributes?.[name]
    const rows = rowsOf(raw).filter((row) => row.type !== 'pad' && row.type !== 'unused')
    if (whole) return rows
    return rows.filter((row) => wanted === undefined || wanted.test(row.name))
  }

  function add(name) {
    if (sets.has(name)) return
    const set = { name, doc: rawSets.get(name)?.doc, rows: [] }
    sets.set(name, set)
    set.rows = setOf(name).map(rowOf)
  }

  function rowOf(raw) {
    const row = { id: raw.id, name: raw.name, type: raw.type }
    if (row.name === 'unknown-attributes') throw new Error('The name unknown-attributes is ours.')
    const nested = raw['nested-attributes']
    if (nested !== undefined) {
      row.nested = nested
      add(nested)
    }
    if (raw['multi-attr']) row.multi = true
    if (raw.type === 'indexed-array') {
      if (raw['sub-type'] !== 'nest') throw new Error(`${raw.name}: an array of ${raw['sub-type']}`)
      row.type = 'array'
    } else if (raw.type === 'nest-type-value') {
      row.type = 'levels'
      row.levels = raw['type-value']
    } else if (raw.type === 'sub-message') {
      row.type = 'select'
      row.selector = raw.selector
      const formats = messages.get(raw['sub-message']).formats
      const kept = formats.filter(({ value }) => choice.choices?.test(value))
      row.choices = Object.fromEntries(kept.map((each) => [each.value, each['attribute-set']]))
      for (const set of Object.values(row.choices)) add(set)
    } else if (raw.type === 'binary') {
      if (raw.struct !== undefined) throw new Error(`${raw.name} is a struct, which nothing needs.`)
      row.element = raw['sub-type']
    } else if (!/^([us](8|16|32|64)|[us]int|string|flag|nest)$/.test(raw.type)) {
      throw new Error(`${raw.name} has the type ${raw.type}, which the codecs do not know.`)
    }
    const names = raw.enum === undefined ? undefined : definitions.get(raw.enum)
    if (names !== undefined && (names.entries ?? []).length > 0) {
      enums.set(names.name, enumOf(names))
      row[isFlags(raw) ? 'flags' : 'enum'] = names.name
    }
    if (raw.type === 'uint' && /^[us](8|16|32)-max$/.test(raw.checks?.max ?? '')) row.small = true
    if (raw['byte-order'] === 'big-endian') row.bigEndian = true
    return Object.assign(row, { doc: raw.doc })
  }

  function isFlags(raw) {
    return definitions.get(raw.enum).type === 'flags' || raw['enum-as-flags']
  }

  function enumOf({ name, doc, entries, 'value-start': start = 0 }) {
    let next = start
    const rows = entries.map((entry) => {
      const value = entry.value ?? next
      next = value + 1
      return [value, entry.name ?? entry]
    })
    return { name, doc, rows }
  }

  function header(name) {
    if (name === undefined || structs.has(name)) return
    const rows = definitions.get(name).members.flatMap((member) => {
      const { doc, enum: names } = member
      const row = { name: member.name, type: member.type }
      if (names !== undefined) {
        enums.set(names, enumOf(definitions.get(names)))
        row[isFlags(member) ? 'flags' : 'enum'] = names
      }
      if (member.type !== 'pad') return [{ ...row, doc }]
      return Array.from({ length: member.len }, () => ({ type: 'u8' }))
    })
    structs.set(name, { name, rows })
  }

  const operations = numbered(spec).filter(({ name }) => choice.operations?.test(name) ?? true)
  for (const operation of operations) {
    const named = operations.find(({ name }) => name === operation.notify)
    operation.set = operation['attribute-set'] ?? named['attribute-set']
    operation.header =
      operation['fixed-header'] ?? named?.['fixed-header'] ?? spec.operations['fixed-header']
    operation.answer = operation.event ?? named
    add(operation.set)
    header(operation.header)
  }
  const alwaysIn = ({ name, set, reply }) =>
    reply === undefined ? undefined : (choice.always[name] ?? choice.always[set])
  return { spec, name: choice.spec, alwaysIn, sets, enums, structs, operations }
}

/** Numbers of the operations, as Documentation/userspace-api/netlink/specs.rst counts them. */
function numbered({ operations: { list, 'enum-model': model } }) {
  let request = 1
  let reply = 1
  return list.map((operation) => {
    const isEvent = 'notify' in operation || 'event' in operation
    if (model !== 'directional') {
      request = operation.value ?? request
      const replies = isEvent || [operation.do, operation.dump].some((mode) => mode?.reply)
      request += 1
      return { ...operation, request: request - 1, reply: replies ? request - 1 : undefined }
    }
    if (isEvent) {
      reply = operation.value ?? reply
      reply += 1
      return { ...operation, reply: reply - 1 }
    }
    const mode = operation.do ?? operation.dump
    request = mode.request?.value ?? request
    reply = mode.reply?.value ?? reply
    const numbers = { request, reply: 'reply' in mode ? reply : undefined }
    request += 1
    if ('reply' in mode) reply += 1
    return { ...operation, ...numbers }
  })
}
