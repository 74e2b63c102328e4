/** Numbers of both versions of IP. */

/** Protocols above IP (IANA, "Assigned Internet Protocol Numbers"). */
export const IPPROTO_TCP = 6
export const IPPROTO_UDP = 17
