/**
 * Linux system calls that Node.js does not make: memory in huge pages, and low-water marks of
 * sockets. Needs koffi, an optional dependency: `npm install koffi@3`.
 */

export { hugeMemory } from './huge-memory.ts'
export { LinuxError } from './sys/index.ts'
export { wakeBatching } from './wake-batching.ts'
