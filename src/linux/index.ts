/**
 * What takes Linux system calls that Node.js does not make: memory in huge pages, and low-water
 * marks of sockets. Needs koffi, an optional dependency: `npm install koffi@3`.
 */

export { LinuxError } from '../errors.ts'
export { hugeMemory } from './huge-memory.ts'
export { lowWater } from './low-water.ts'
