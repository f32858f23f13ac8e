import { readFileSync } from 'node:fs'

/** Bytes that a process has resident. */
export const residentOf = (pid: number) => bytesOf(pid, 'VmRSS')

/** … and had at most. Not from wait(): what that tells of a child begins with what its parent had. */
export const residentAtMost = (pid: number) => bytesOf(pid, 'VmHWM')

function bytesOf(pid: number, line: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`${line}:\\s+(\\d+)`).exec(status)?.[1]) * 1024
}
