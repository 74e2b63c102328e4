/**
 * fast-check, which draws the same cases in each run of `npm test`: a test that passed, passes.
 * `npm run soak` draws others each time, and a failure names its seed.
 */
import fc from 'fast-check'

// NETMEM_SOAK is 1 in `npm run soak -- --quick` and in a guest, which are part of every check.
const isSoak = Number(process.env['NETMEM_SOAK'] ?? 1) > 1
fc.configureGlobal({
  ...(isSoak ? {} : { seed: 20_231_211 }),
  // Lets maxLength count: fast-check draws ten elements at most otherwise.
  defaultSizeToMaxWhenMaxSpecified: true,
})

export { fc }
