// Every provider of the package passes its own suite, and the suite finds one that is broken.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { externalProvider, hostProvider, sharedProvider } from 'netmem'
import { providerConformance, testDeviceProvider } from 'netmem/testing'

const PAGE = 4096
const providers = {
  hostProvider: () => hostProvider({ pages: 64, pageSize: PAGE }),
  sharedProvider: () => sharedProvider({ pages: 64, pageSize: PAGE }),
  externalProvider: () => externalProvider(new ArrayBuffer(64 * PAGE), { pageSize: PAGE }),
  testDeviceProvider: () => testDeviceProvider({ netIovs: 64, pageSize: PAGE }),
}
for (const [name, make] of Object.entries(providers)) providerConformance(name, make)

const broken = {
  'gives a slot twice': (provider) => {
    let last
    return {
      ...provider,
      alloc: (want, give) =>
        provider.alloc(want, (m) => {
          give(last ?? m)
          last ??= m
        }),
    }
  },
  'gives more than was asked for': (provider) => ({
    ...provider,
    alloc: (want, give) => provider.alloc(want + 1, give),
  }),
  'shows less than a page': (provider) => ({
    ...provider,
    bytes: (page) => provider.bytes(page).subarray(1),
  }),
  'never takes back': (provider) => ({ ...provider, release: () => {} }),
  'serves two pools': (provider) => ({ ...provider, init: () => {}, destroy: () => {} }),
}
for (const [name, breakIt] of Object.entries(broken)) {
  test(`the suite finds a provider that ${name}`, async () => {
    const bodies = []
    const collect = (_name, body) => bodies.push(body)
    providerConformance('broken', () => breakIt(providers.hostProvider()), { test: collect })
    assert.ok(bodies.length > 5)
    let failures = 0
    for (const body of bodies) {
      try {
        await body()
      } catch {
        failures++
      }
    }
    assert.ok(failures > 0)
  })
}
