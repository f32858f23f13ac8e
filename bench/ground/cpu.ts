import { readdirSync, readFileSync } from 'node:fs'

const TICKS_A_SECOND = 100 // USER_HZ, the same on every Linux

/** Processor seconds that this machine has worked since it started, whoever for. */
export function busySeconds(): number {
  // user, nice, system, idle, iowait, irq, softirq, steal
  const ticks = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').split(/\s+/).slice(1, 9).map(Number)
  const [, , , idle = 0, waiting = 0] = ticks
  return (ticks.reduce((a, b) => a + b, 0) - idle - waiting) / TICKS_A_SECOND
}

/** Processor seconds of a process, its living children, and those that it has outlived: a server's backends come and go. */
export function cpuSeconds(root: number): number {
  const children = new Map<number, number[]>()
  const ticks = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'utf8')
      // the name of the program, in parentheses, may hold anything
      const [, parent, ...rest] = text
        .slice(text.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number)
      const pid = Number(name)
      // utime, stime, cutime and cstime are the 14th to 17th field of the manual's list
      const [utime = 0, stime = 0, cutime = 0, cstime = 0] = rest.slice(9, 13)
      ticks.set(pid, utime + stime + cutime + cstime)
      children.set(parent ?? 0, [...(children.get(parent ?? 0) ?? []), pid])
    } catch {
      // it has ended meanwhile
    }
  }
  const sum = (pid: number): number =>
    (ticks.get(pid) ?? 0) + (children.get(pid) ?? []).reduce((s, child) => s + sum(child), 0)
  return sum(root) / TICKS_A_SECOND
}
