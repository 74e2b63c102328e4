/** Verdict on what the guest's kernel has said: a fault of the code, or a host that was too busy. */

/** Line that the guest's first program writes to the kernel's log before the script. */
const BEGINNING = 'netmem: the script begins'

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
 */
export function judge(log: string, tainted = 0): Verdict {
  const faults: string[] = []
  const starved: string[] = []
  let during = false
  let withinStall = false
  for (const line of log.split(/\r?\n/)) {
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
  // K: Documentation/admin-guide/tainted-kernels.rst
  if (tainted !== 0) faults.push(`The kernel is tainted: ${tainted}`)
  return { faults, starved }
}

/** A line's level, where it has one of the kernel's own, and its text without the time. */
function parsed(line: string): { readonly level?: number; readonly text: string } {
  const match = /^(?:<(\d+)>)?(?:\[ *\d+\.\d+\] ?)?(?:\[ *[TC]\d+\] ?)?(.*)$/.exec(line)
  const [, priority, text = line] = match ?? []
  // The upper bits are the facility: 0 is the kernel, 1 a program that wrote to its log.
  if (priority === undefined || Number(priority) > 7) return { text }
  return { level: Number(priority), text }
}
