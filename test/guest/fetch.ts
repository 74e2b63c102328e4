/**
 * `npm run guest:fetch [-- PACKAGE...]`: fetches what the guest and the comparisons with the kernel
 * need, and prints where it lies. Tests find it with `packageInCache` and `sourceInCache`.
 */

import { debianClosure, debianPackage, kernelSource, newestKernel } from './debian.ts'
import { COMPARED_PACKAGES, COMPARED_SOURCE, JUDGES_PACKAGES } from './needs.ts'

const packages = process.argv.slice(2)
for (const name of packages.length > 0 ? packages : COMPARED_PACKAGES) {
  console.log(await debianPackage(name))
}
if (packages.length === 0) {
  console.log((await newestKernel()).image)
  console.log(await debianClosure('qemu-system-x86'))
  console.log(await debianPackage('busybox-static'))
  for (const name of JUDGES_PACKAGES) console.log(await debianClosure(name))
  console.log(await kernelSource(COMPARED_SOURCE))
}
