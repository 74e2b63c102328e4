/** Stacks for leak reports: the frames of the application, without this package's and the runtime's. */

/** Frames to look at, since the application's frames come last, and frames to keep. */
const FRAMES = 50
const KEPT = 8

/**
 * Compiled: dist/pool/application-stack.js. In a bundle it has another name, and frames cannot be told
 * apart.
 */
const OWN_NAME = /^(?:file:\/\/)?(.*\/)dist\/pool\/application-stack\.js$/
const root: string | undefined = OWN_NAME.exec(import.meta.url ?? '')?.[1]

/**
 * Returns where the application is, innermost frame first, also through awaits. Returns `undefined` if
 * only the package and the runtime are on the stack, as in the callback of a socket.
 */
export function applicationStack(): string | undefined {
  const limit: unknown = Reflect.get(Error, 'stackTraceLimit')
  Reflect.set(Error, 'stackTraceLimit', FRAMES)
  const { stack } = new Error()
  Reflect.set(Error, 'stackTraceLimit', limit)
  // A program may make something else of it with Error.prepareStackTrace.
  if (typeof stack !== 'string') return undefined
  const frames = stack.split('\n').slice(1).filter(isOfApplication).slice(0, KEPT)
  return frames.length === 0 ? undefined : frames.join('\n')
}

function isOfApplication(frame: string): boolean {
  if (/(?:\(|at |async )node:|<anonymous>\)?$/.test(frame)) return false
  // `src` where source maps are on.
  return root === undefined || !(frame.includes(`${root}dist/`) || frame.includes(`${root}src/`))
}
