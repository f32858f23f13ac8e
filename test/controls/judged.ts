import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { collect } from '../../chaos/judge/collect.ts'
import { openLedger } from '../../chaos/judge/ledger.ts'
import { startRecorder } from '../../chaos/judge/recorder.ts'
import { judge, type Verdict } from '../../chaos/judge/verdict.ts'
import { startPlant, type Plant, type PlantOptions } from '../failure/plant.ts'

const TAP = join(import.meta.dir, '../../chaos/judge/tap.ts')
export const LOSE_ANSWERS = join(import.meta.dir, 'lose-answers.ts')
const RECOVERY_MS = 60_000

/** Does something to the plant, between two lines of the fault log. */
export type Note = <T>(kind: string, target: string, strike: () => Promise<T>) => Promise<T>

export interface JudgedOptions extends Omit<PlantOptions, 'rate'> {
  rate?: number
  /** readings flow for so long before the strike, and after it */
  calmMs?: number
  settleMs?: number
}

/** Runs a plant with the judge's recorder beside it, strikes, stops the producer, waits for what is on its way, judges. */
export async function judged(
  options: JudgedOptions,
  strike: (plant: Plant, note: Note) => Promise<void>,
): Promise<Verdict> {
  const { rate = 1500, calmMs = 2000, settleMs = RECOVERY_MS } = options
  const ledger = join(tmpdir(), `ledger-${crypto.randomUUID()}`)
  const plant = await startPlant({
    ...options,
    rate,
    preload: [TAP, ...(options.preload ?? [])],
    env: { ...options.env, JUDGE_LEDGER: ledger },
  })
  const { DATABASE_URL, KAFKA_BROKERS, SENSOR_TOPIC, ALERT_TOPIC, SPOOL_DIR } = plant.config
  const recorder = startRecorder({
    ledger,
    database: DATABASE_URL,
    spools: SPOOL_DIR,
    monitor: null,
    root: options.root ?? '',
  })
  const note: Note = async (kind, target, act) => {
    openLedger(ledger).append('faults', [{ at: Date.now(), kind, target }])
    try {
      return await act()
    } finally {
      openLedger(ledger).append('faults', [{ at: Date.now(), kind, target, ended: true }])
    }
  }
  try {
    await plant.untilFlowing(RECOVERY_MS)
    await Bun.sleep(calmMs)
    await strike(plant, note)
    await Bun.sleep(calmMs)
    await note('producer.stop', 'producer', () => plant.producer.stop())
    await recorder.stop()
    return judge(
      await collect({
        ledger,
        database: DATABASE_URL,
        brokers: [...KAFKA_BROKERS],
        readings: [SENSOR_TOPIC],
        alerts: ALERT_TOPIC,
        logs: plant.logs,
        secrets: ['factory_pass'],
        runs: null,
        settleMs,
      }),
    )
  } finally {
    await recorder.stop()
    await plant.stop()
    if (!process.env.KEEP_PLANT) rmSync(ledger, { recursive: true, force: true })
  }
}
