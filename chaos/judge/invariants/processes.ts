import type { Evidence, ProcessSample } from '../evidence.ts'
import { createFinding, type Finding, type Gathering } from '../finding.ts'

const WARM_UP_MS = 120_000
/** What is collected now and then makes a saw of some 30 MiB: over five minutes its slope alone is 1 to 4 MiB a minute. */
const LEAST_MS = 1_200_000
const SLOPE_BYTES_A_MINUTE = 1024 ** 2
const DESCRIPTORS = 16
/** what a fault may still bring down after it was healed */
const AFTER_MS = 60_000

/** I11: nobody died unasked, nothing was thrown into the void, memory and descriptors do not grow. I12: no secret is told. */
export function judgeProcesses(e: Evidence): Finding[] {
  const finding = createFinding(
    'I11',
    'no process died unasked; memory and descriptors do not grow after the warm-up',
  )
  if (e.processes === null) finding.note('processes were not watched')
  const ended = Math.max(0, ...(e.processes ?? []).map((p) => p.at))
  for (const [id, samples] of Map.groupBy(e.processes ?? [], (p) => `${p.name}, process ${p.pid}`)) {
    finding.look()
    judgeDeath(e, id, samples, ended, finding)
    judgeGrowth(id, samples, finding)
  }
  judgeWatch(e, finding)
  for (const [name, text] of e.texts) {
    finding.look()
    const line = text
      .split('\n')
      .find((l) => /process\.(unhandled_rejection|uncaught_exception)|UnhandledPromiseRejection/.test(l))
    if (line !== undefined) finding.violated(`${name}: ${line.slice(0, 300)}`)
  }
  return [finding.done(), judgeSecrets(e)]
}

/** Who says at the API that it works must be among the processes that were watched; on another machine nobody is. */
function judgeWatch(e: Evidence, finding: Gathering): void {
  if (e.processes === null || e.answers === null) return
  if (e.processes.length === 0) return finding.note('no process of ours was seen on this machine')
  const seen = new Set(e.processes.map((p) => p.name))
  const active = e.answers.flatMap((a) => a.consumers.filter((c) => c.status === 'active').map((c) => c.id))
  for (const id of new Set(active))
    if (!seen.has(id))
      finding.violated(`${id} worked, and its process was never seen: nobody watched its memory`)
}

function judgeDeath(
  e: Evidence,
  id: string,
  samples: ProcessSample[],
  ended: number,
  finding: Gathering,
): void {
  const last = samples.at(-1)
  if (!last || last.at > ended - 5000) return
  const near = e.faults.some((f) => last.at >= f.at - 5000 && last.at <= (f.ended ?? f.at) + AFTER_MS)
  if (!near)
    finding.violated(`${id} was gone after ${new Date(last.at).toISOString()}, and no fault was near`)
}

function judgeGrowth(id: string, samples: ProcessSample[], finding: Gathering): void {
  const first = samples[0]
  const warm = samples.filter((s) => first && s.at > first.at + WARM_UP_MS)
  const span = (warm.at(-1)?.at ?? 0) - (warm[0]?.at ?? 0)
  if (span < LEAST_MS) return
  const slope = slopeOf(warm.map((s) => [s.at / 60_000, s.rssBytes]))
  const third = Math.floor(warm.length / 3)
  // the middle one: while a server is away connections come and go, which is no leak
  const usual = (list: ProcessSample[]) => list.map((s) => s.fds).sort((a, b) => a - b)[list.length >> 1] ?? 0
  const before = usual(warm.slice(0, third))
  const after = usual(warm.slice(-third))
  finding.note(
    `${id}: ${(slope / 1024 ** 2).toFixed(2)} MiB a minute over ${Math.round(span / 60_000)} minutes, ${before} then ${after} descriptors`,
  )
  if (slope > SLOPE_BYTES_A_MINUTE)
    finding.violated(`${id} grows by ${(slope / 1024 ** 2).toFixed(2)} MiB a minute`)
  if (after > before + DESCRIPTORS)
    finding.violated(`${id} held ${before} descriptors, and ${after} in the end`)
}

/** Least squares: bytes a minute. */
function slopeOf(points: [x: number, y: number][]): number {
  const mean = (pick: (p: [number, number]) => number) =>
    points.reduce((sum, p) => sum + pick(p), 0) / points.length
  const x = mean((p) => p[0])
  const y = mean((p) => p[1])
  const above = points.reduce((sum, p) => sum + (p[0] - x) * (p[1] - y), 0)
  const below = points.reduce((sum, p) => sum + (p[0] - x) ** 2, 0)
  return below === 0 ? 0 : above / below
}

function judgeSecrets(e: Evidence): Finding {
  const finding = createFinding('I12', 'no secret stands in a log or an answer')
  if (e.secrets.length === 0) finding.note('no secret was named')
  else
    for (const [name, text] of e.texts) {
      finding.look()
      for (const secret of e.secrets) if (text.includes(secret)) finding.violated(`${name} tells a secret`)
    }
  return finding.done()
}
