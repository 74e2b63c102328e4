/** Packages and sources that tests compare this project with. `npm run guest:fetch` fetches what is listed. */

/** Headers of the kernel's interfaces: the host's may be older. */
export const COMPARED_PACKAGES: readonly string[] = ['linux-libc-dev', 'linux-libc-dev-arm64-cross']

/** Parts of the kernel's source: specifications of netlink families, and the tool that reads them. */
export const COMPARED_SOURCE: readonly string[] = [
  'Documentation/netlink',
  'tools/net/ynl/pyynl',
  'MAINTAINERS',
]
