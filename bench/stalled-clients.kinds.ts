/** The jobs that the server of `stalled-clients` can do with received data. */
export type StalledKind = 'echo' | 'proxy' | 'bodies' | 'messages'

/** Bytes of a message, which the server answers when it is complete. */
export const MESSAGE: number = 64 * 1024
