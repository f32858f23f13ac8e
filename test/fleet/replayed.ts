import { expect } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock, Measured } from '../../lib/fleet/fleet.ts'
import { createReplay, type ReplayOptions } from '../../lib/fleet/replay.ts'
import { encodeFactoryMessage } from '../../lib/reading.ts'
import { formatMicros, parseMicros } from '../../lib/time.ts'

const NOW = parseMicros('2026-01-01T12:00:00.000000Z')
const LOCATION = { factorySection: 'production', machineId: 'machine-001', zone: 'zone-a' }

/** What the replay's tests are made of. */
export const OPTIONS = { topic: 'sensor-data', file: '-', sensorId: 'pump', location: LOCATION } as const

export async function replay(
  content: string | Uint8Array,
  options: Partial<ReplayOptions> = {},
  pieceBytes = Infinity,
) {
  const clock = virtualClock()
  const bytes = Buffer.from(content as string)
  const size = Math.min(pieceBytes, bytes.length || 1)
  const input = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.subarray(at, at + size))
      controller.close()
    },
  })
  const file = 'pump.txt' // not standard input: rows without a time have a pace
  const source = createReplay({ ...OPTIONS, file, speed: 'max', time: 'keep', clock, input, ...options })
  const seen: Measured[] = []
  for await (const batch of source.readings(new AbortController().signal)) seen.push(...batch)
  for (const m of seen.slice(0, 50))
    expect(m.encode({ runId: 'r', seq: 1 })).toBe(encodeFactoryMessage(m.reading, { runId: 'r', seq: 1 }))
  return { seen, clock, summary: source.summary() }
}

export function short({ key, reading }: Measured): string {
  return `${key} ${formatMicros(reading.measuredAt)} ${reading.value}`
}

export function virtualClock(): Clock & { advance(seconds: number): void } {
  let now = NOW
  return {
    now: () => now,
    sleep: async (ms) => void (now += ms * 1000),
    advance: (seconds) => void (now += seconds * 1_000_000),
  }
}

export function csvFiles(root: string): string[] {
  return ['nab', 'skab'].flatMap((set) =>
    readdirSync(join(root, set), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.csv'))
      .toSorted()
      .map((name) => `${set}/${name}`),
  )
}
