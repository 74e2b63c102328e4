import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { cached, cacheFolder } from './cache.ts'
import { run } from './commands.ts'
import { newestRelease, packageInCache, sourceInCache } from './debian.ts'

const both = (release: string) => [`linux-binary-${release}`, `linux-modules-${release}`]

describe('newestRelease', () => {
  it('compares numbers, not letters', () => {
    const packages = [...both('7.3.4+deb13-amd64'), ...both('7.3.12+deb13-amd64')]
    assert.equal(newestRelease(packages), '7.3.12+deb13-amd64')
    assert.equal(newestRelease(packages.reverse()), '7.3.12+deb13-amd64')
  })

  it('takes the generic kernel alone, of which both packages are there', () => {
    const packages = [
      ...both('7.3.4+deb13-amd64'),
      ...both('7.5.1+deb13-cloud-amd64'),
      ...both('7.5.1+deb13-rt-amd64'),
      'linux-binary-7.4.0+deb14-amd64',
      'linux-modules-7.4.1+deb14-amd64',
    ]
    assert.equal(newestRelease(packages), '7.3.4+deb13-amd64')
  })

  it('says what was not to be had', () => {
    assert.throws(
      () => newestRelease(both('7.2.12+deb13-amd64')),
      /from 7\.3 on.*is 7\.2\.12\+deb13/,
    )
    assert.throws(() => newestRelease([]), /is none/)
  })
})

describe('the cache', () => {
  const outside = process.env['XDG_CACHE_HOME']
  let home = ''
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'netmem-cache-'))
    process.env['XDG_CACHE_HOME'] = home
  })
  afterEach(() => {
    if (outside === undefined) delete process.env['XDG_CACHE_HOME']
    else process.env['XDG_CACHE_HOME'] = outside
    rmSync(home, { recursive: true })
  })

  it('makes a folder once for several callers', async () => {
    let made = 0
    const make = async (draft: string) => {
      made++
      writeFileSync(join(draft, 'file'), '')
    }
    const places = await Promise.all([cached('a', make), cached('a', make), cached('b', make)])
    assert.deepEqual(
      places,
      ['a', 'a', 'b'].map((name) => join(home, 'netmem/guest', name)),
    )
    assert.ok(existsSync(join(await cached('a', make), 'file')))
    assert.equal(made, 3)
    assert.deepEqual(readdirSync(cacheFolder()).sort(), ['a', 'b'])
  })

  it('is asked for packages without the network', async () => {
    assert.equal(packageInCache('linux-libc-dev'), undefined)
    const make = async () => {}
    await cached('linux-libc-dev-arm64-cross_7.3.4-1~bpo13+1', make)
    await cached('linux-libc-dev_7.3.4-1~bpo13+1_closure', make)
    await cached('linux-source-7.3_7.3.4-1~bpo13+1', make)
    assert.equal(packageInCache('linux-libc-dev'), undefined)
    assert.equal(sourceInCache(['MAINTAINERS']), undefined)
    const place = await cached('linux-libc-dev_7.3.4-1~bpo13+1', make)
    assert.equal(packageInCache('linux-libc-dev'), place)
  })

  it('keeps nothing that is incomplete', async () => {
    const make = async (draft: string) => {
      writeFileSync(join(draft, 'file'), '')
      throw new Error('no space')
    }
    await assert.rejects(cached('a', make), /no space/)
    assert.deepEqual(readdirSync(cacheFolder()), [])
  })
})

it('a missing program is named', async () => {
  await assert.rejects(
    run('netmem-no-such-program', []),
    /needs the program netmem-no-such-program/,
  )
})
