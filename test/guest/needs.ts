/** Packages and sources that tests compare this project with. `npm run guest:fetch` fetches what is listed. */

/** Headers of the kernel's interfaces, since the host's may be older, and the C library of Alpine Linux. */
export const COMPARED_PACKAGES: readonly string[] = [
  'linux-libc-dev',
  'linux-libc-dev-arm64-cross',
  'musl-dev',
]

/**
 * Parts of the kernel's source: specifications of netlink families, the tools that read them, and the
 * tests of network cards.
 */
export const COMPARED_SOURCE: readonly string[] = [
  'Documentation/netlink',
  'MAINTAINERS',
  'tools/net/ynl/lib',
  'tools/net/ynl/pyynl',
  'tools/testing/selftests/drivers/net',
  'tools/testing/selftests/kselftest.h',
  'tools/testing/selftests/net/lib',
]

/**
 * Programs that the kernel's tests of network cards call, in versions that know the kernel's features, and
 * those that every user has.
 */
export const JUDGES_PACKAGES: readonly string[] = ['ethtool', 'iputils-ping', 'tcpdump']
