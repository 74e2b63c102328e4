// Node's own spec reporter, with the skipped tests and their reasons listed above its closing
// counts. With NETMEM_CI=1 a skipped test, a file without tests, or no test at all is a failure.
import { relative, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { spec as Spec } from 'node:test/reporters'

async function* annotated(events) {
  const missing = []
  // Files that share a process are not reported as tests themselves.
  const unseen = new Set(process.env.NETMEM_SHARED_FILES?.split('\n').filter((file) => file !== ''))
  let executed = 0
  for await (const event of events) {
    const { type, data } = event
    if (type === 'test:pass' || type === 'test:fail') {
      // Node reports a file that has no tests as a test with the file's name.
      const isFile = data.file !== undefined && resolve(data.name) === resolve(data.file)
      if (data.file !== undefined) unseen.delete(relative('', data.file))
      if (data.skip !== undefined) missing.push(`skipped: ${data.name} # ${reason(data.skip)}`)
      else if (isFile && type === 'test:pass')
        missing.push(`no tests in ${relative('', data.file)}`)
      else if (!isFile && data.details?.type !== 'suite') executed++
    }
    if (type === 'test:diagnostic' && /^tests \d+$/.test(data.message)) {
      if (executed === 0) missing.push('no test was executed')
      for (const file of unseen) missing.push(`no tests in ${file}`)
      for (const message of missing) yield { type, data: { ...data, message } }
      if (missing.length > 0 && process.env.NETMEM_CI === '1') process.exitCode = 1
    }
    yield event
  }
}

function reason(skip) {
  return typeof skip === 'string' && skip !== '' ? skip : 'no reason given'
}

export default async function* reporter(events) {
  yield* Readable.from(annotated(events)).compose(new Spec())
}
