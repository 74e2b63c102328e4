/**
 * Marks memory that the kernel may write to, so that `postMessage` does not give it away. For Node.js
 * only, since elsewhere no memory is posted to a kernel.
 */
export function markUntransferable(buffer: ArrayBuffer): void {
  globalThis.process?.getBuiltinModule?.('node:worker_threads')?.markAsUntransferable(buffer)
}
