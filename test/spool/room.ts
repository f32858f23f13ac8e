import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { partitionOf } from '../../lib/kafka/partitioner.ts'
import { readLedger } from '../../lib/spool/ledger.ts'
import { openSpool, type Batch, type Spool, type SpoolOptions } from '../../lib/spool/spool.ts'
import { spoolFile } from '../../lib/spool/store.ts'

/** What a test has opened, to be closed after it. */
export const cleanUp: (() => unknown)[] = []

export function folder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'spool-'))
  cleanUp.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export function open(options: Partial<SpoolOptions> = {}): Spool {
  const spool = openSpool({
    directory: options.directory ?? folder(),
    producerId: 'plant',
    maxBytes: 256 * 1024 * 1024,
    whenFull: 'block',
    partitionOf: (_, key) => partitionOf(key, 3),
    ...options,
  })
  cleanUp.push(() => spool.close())
  return spool
}

export function ledgerOf(directory: string) {
  const ledger = readLedger(spoolFile(directory, 'plant'))
  const entries = [...ledger]
  const spooled = [...ledger.spooled()]
  ledger.close()
  return { entries, spooled, totals: ledger.totals, runId: ledger.runId }
}

/** Sensor → its numbers in the order of the ledger. */
export function seqsOf(entries: readonly { sensorId: string; seq: number }[]): Map<string, number[]> {
  const seqs = new Map<string, number[]>()
  for (const { sensorId, seq } of entries) seqs.set(sensorId, [...(seqs.get(sensorId) ?? []), seq])
  return seqs
}

export const countUp = (to: number) => Array.from({ length: to }, (_, i) => i + 1)
export const name = (e: { sensorId: string; seq: number }) => `${e.sensorId}:${e.seq}`

export function takeAll(spool: Spool): Batch[] {
  return spool.lines().flatMap(({ topic, partition }) => spool.take(topic, partition) ?? [])
}

export async function until(holds: () => boolean, what: string, boundMs = 10_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!holds()) {
    if (performance.now() > end) throw new Error(`still not after ${boundMs} ms: ${what}`)
    await Bun.sleep(5)
  }
}
