/** What the server of `stalled-clients` does with what it receives. */
export type StalledKind = 'echo' | 'proxy' | 'bodies' | 'messages'

/** Bytes of a message, which the server answers when it is complete. */
export const MESSAGE: number = 64 * 1024
