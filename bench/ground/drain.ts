import type { Sql } from '../../lib/db/connect.ts'
import { sleep } from '../../lib/run.ts'
import { residentAtMost } from './memory.ts'
import { startConsumers } from './servers.ts'

export interface Drained {
  /** between the first and the last reading seen to be stored */
  seconds: number
  readings: number
  /** in all */
  stored: number
  /** of all consumers, from their start to their end */
  cpuSeconds: number
  largestMib: number
}

/** Starts consumers on a filled topic and stops them when all is stored, or after the deadline. */
export async function drain(
  env: Record<string, string>,
  sql: Sql,
  readings: number,
  consumers: number,
  deadlineMs = 300_000,
): Promise<Drained> {
  const children = startConsumers(env, consumers)
  const storedNow = async () =>
    (await sql<{ n: number | null }[]>`select sum(stored)::bigint as n from partition_progress`)[0]?.n ?? 0
  const before = await storedNow()
  let first: { n: number; at: number } | null = null
  let last = { n: 0, at: 0 }
  const until = performance.now() + deadlineMs
  while (last.n < readings && performance.now() < until) {
    const n = (await storedNow()) - before
    const at = performance.now()
    if (n > 0) first ??= { n, at }
    if (n !== last.n) last = { n, at }
    await sleep(20)
  }
  const largest = Math.max(...children.map((child) => residentAtMost(child.pid)))
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(children.map((child) => child.exited))
  const used = children.map((child) => child.resourceUsage() ?? null)
  return {
    seconds: first ? (last.at - first.at) / 1000 : 0,
    readings: first ? last.n - first.n : 0,
    stored: last.n,
    cpuSeconds: used.reduce((sum, u) => sum + Number(u?.cpuTime.total ?? 0) / 1e6, 0),
    largestMib: Math.round(largest / 1024 ** 2),
  }
}
