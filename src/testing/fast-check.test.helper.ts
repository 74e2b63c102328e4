/**
 * fast-check, which draws the same cases in each run of `npm test`: a test that passed, passes.
 * `npm run soak` draws others each time, and a failure names its seed.
 */
import fc from 'fast-check'

// It is 1 in `npm run soak -- --quick` and in a guest, which are part of every check.
const isSoak = Number(process.env['NETMEM_SOAK'] ?? 1) > 1
fc.configureGlobal({
  ...(isSoak ? {} : { seed: 20_231_211 }),
  // Without it fast-check draws ten elements at most, whatever a test asks for by maxLength.
  defaultSizeToMaxWhenMaxSpecified: true,
})

export { fc }
