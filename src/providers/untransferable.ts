/** Marks memory that the kernel may write to, so that `postMessage` does not give it away. Node.js only; elsewhere nothing posts memory to a kernel. */
export function markUntransferable(buffer: ArrayBuffer): void {
  globalThis.process?.getBuiltinModule?.('node:worker_threads')?.markAsUntransferable(buffer)
}
