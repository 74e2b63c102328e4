/** Verdict on what the guest's kernel has said: a fault of the code, or a host that was too busy. */

/** Line that the guest's first program writes to the kernel's log before the script. */
const BEGINNING = 'netmem: the script begins'

/** Lines that a script writes to the log around a warning that the kernel has to give. */
const EXPECTING = 'netmem: a warning is expected'
const EXPECTED = 'netmem: no further warning is expected'
/** First and last line of a warning's report. */
const REPORT_BEGIN = '[ cut here ]'
const REPORT_END = '[ end trace '
/** Taint of a kernel that has warned (K: Documentation/admin-guide/tainted-kernels.rst). */
const TAINT_WARN = 512

/** Levels of printk (K: include/linux/kern_levels.h): warnings, and all that is worse. */
const WARNING = 4

/** Words of faults, at any level and at any time. */
const FAULT =
  /\bWARNING: |\bBUG: (?!soft lockup)|\bOops\b|kernel BUG at|Kernel panic|general protection fault|double fault|[UK]C?[AM]?SAN: |KFENCE: |refcount_t: |unable to handle|blocked for more than|circular locking|unreferenced object/i

/** Words about time that passed while the host ran something else. */
const STARVED =
  /\brcu\w*:? .*(stall|starved|self-detected)|rcu_\w+ kthread|soft lockup|clocksource|Clock Unsynchronized|hrtimer: interrupt took|hogged CPU|interrupt took too long|throttling activated|NOHZ tick-stop|timekeeping|TSC.*(unstable|adjust|warp)/i

/** Lines that belong to a report above them. */
const REPORT =
  /^(\s|Call Trace:|CPU: |R[A-Z0-9]{2}: |RIP: |RSP: |CR2: |CS: |FS: |Code: |Hardware name:|Modules linked in:|Sending NMI|NMI backtrace|task:|rcu: |<\/?(TASK|IRQ|NMI)>)/

/** Verdict on the kernel's messages. */
export interface Verdict {
  /** Warnings, oopses and taints, and every other message at a warning's level during the script. */
  readonly faults: readonly string[]
  /** Stalls and clocks: the host was too busy, and a failure may have no other reason. */
  readonly starved: readonly string[]
}

/**
 * Judges a log of the kernel.
 *
 * @param log - As `dmesg -r` prints it, or as the console shows it: without levels, and only warnings.
 * @param tainted - From /proc/sys/kernel/tainted.
 * @param expected - A warning that the kernel has to give where the script says so, and nowhere else.
 */
export function judge(log: string, tainted = 0, expected?: RegExp): Verdict {
  const faults: string[] = []
  const starved: string[] = []
  let during = false
  let withinStall = false
  const { kept, warnings, reports } = withoutWarning(log.split(/\r?\n/), expected)
  if (expected !== undefined && warnings === 0) faults.push(`The kernel did not warn: ${expected}`)
  for (const line of kept) {
    const { level, text } = parsed(line)
    if (text.includes(BEGINNING)) during = true
    if (level !== undefined && level > WARNING && !FAULT.test(text)) continue
    if (STARVED.test(text)) {
      starved.push(text)
      withinStall = true
    } else if (FAULT.test(text)) {
      faults.push(text)
      withinStall = false
    } else if (!withinStall || !REPORT.test(text)) {
      withinStall = false
      if (during && level !== undefined) faults.push(text)
    }
  }
  const taint = reports > 0 ? tainted & ~TAINT_WARN : tainted
  if (taint !== 0) faults.push(`The kernel is tainted: ${taint}`)
  return { faults, starved }
}

/** Returns the lines without an expected warning, be it a line or a report, where it is expected. */
function withoutWarning(
  lines: readonly string[],
  expected: RegExp | undefined,
): { readonly kept: readonly string[]; readonly warnings: number; readonly reports: number } {
  const kept: string[] = []
  let warnings = 0
  let reports = 0
  let isExpected = false
  let report: string[] | undefined
  for (const line of lines) {
    if (line.includes(EXPECTING)) isExpected = true
    if (line.includes(EXPECTED)) isExpected = false
    if (isExpected && line.includes(REPORT_BEGIN)) report = []
    if (report === undefined) {
      if (isExpected && expected?.test(line) === true) warnings++
      else kept.push(line)
      continue
    }
    report.push(line)
    if (!line.includes(REPORT_END)) continue
    if (report.some((each) => expected?.test(each) === true)) reports++
    else kept.push(...report)
    report = undefined
  }
  return { kept: [...kept, ...(report ?? [])], warnings: warnings + reports, reports }
}

/** A line's level, where it has one of the kernel's own, and its text without the time. */
function parsed(line: string): { readonly level?: number; readonly text: string } {
  const match = /^(?:<(\d+)>)?(?:\[ *\d+\.\d+\] ?)?(?:\[ *[TC]\d+\] ?)?(.*)$/.exec(line)
  const [, priority, text = line] = match ?? []
  // The upper bits are the facility: 0 is the kernel, 1 a program that wrote to its log.
  if (priority === undefined || Number(priority) > 7) return { text }
  return { level: Number(priority), text }
}
