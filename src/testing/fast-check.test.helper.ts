/**
 * fast-check, which draws the same cases in each run of `npm test`: a test that passed, passes.
 * `npm run soak` draws others each time, and a failure names its seed.
 */
import fc from 'fast-check'

const isSoak = process.env['NETMEM_SOAK'] !== undefined
if (!isSoak) fc.configureGlobal({ seed: 20_231_211 })

export { fc }
