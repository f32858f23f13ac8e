import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { STACK_MS } from '../stack.ts'
import {
  freezeConsumer,
  freezeLeader,
  killBackend,
  killConsumer,
  killLeader,
  killProducer,
  untilWhole,
  type Fault,
} from './faults.ts'
import { startPlant, type Plant } from './plant.ts'
import { createRandom } from './random.ts'

/**
 * Each fault strikes KILLS times at seeded moments while at least 2,000 readings a second flow; after the last, the
 * ledger must be true. KILLS=20 for the long run; KILL_SEED repeats one.
 */
const KILLS = Number(process.env.KILLS ?? 3)
const SEED = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 1e9))
const RATE = 2500
/** the bounds of recovery: twice a consumer's session, a broker's session and an election, and room for a busy machine */
const RECOVERY_MS = 60_000

/** what a strike must show: that it hit in the middle (of the first four, once at least), that no consumer ended by it */
const faults: [name: string, strike: Fault, shows: 'hit' | 'consumers stay'][] = [
  ['kill -9 of a consumer in mid-batch', killConsumer, 'hit'],
  ['kill -9 of the producer in mid-send', killProducer, 'hit'],
  ['a consumer frozen past its session, then woken', freezeConsumer, 'hit'],
  ['the backend of a consumer killed in a transaction', killBackend, 'hit'],
  ['kill -9 of the leader of a partition', killLeader, 'consumers stay'],
  ['the leader of a partition frozen', freezeLeader, 'consumers stay'],
]

describe(`${KILLS} strikes a fault, seed ${SEED}`, () => {
  let plant: Plant

  beforeAll(async () => {
    plant = await startPlant({ rate: RATE })
    await plant.untilFlowing(RECOVERY_MS)
  }, STACK_MS + RECOVERY_MS)

  afterAll(() => plant?.stop(), 60_000)

  for (const [index, [name, strike, shows]] of faults.entries()) {
    test(
      `${name}: nothing lost, doubled or made up`,
      async () => {
        const random = createRandom(SEED + index)
        const started = performance.now()
        const before = (await plant.verify()).accepted
        const ended = () => plant.consumers.reduce((sum, c) => sum + c.restarts(), 0)
        const endedBefore = ended()
        let proven = 0
        const recoveries: number[] = []
        for (let k = 0; k < KILLS; k++) {
          if ((await strike(plant, random)).proven) proven++
          recoveries.push(await plant.untilFlowing(RECOVERY_MS))
          await untilWhole(plant, RECOVERY_MS)
        }
        const report = await plant.verify()
        const perSecond = ((report.accepted - before) / (performance.now() - started)) * 1000
        console.log(
          `${name}: ${KILLS} strikes, ${proven} proven in the middle, flowing again after ${recoveries.map((ms) => (ms / 1000).toFixed(1)).join(', ')} s, ${Math.round(perSecond)} readings/s accepted, ${report.accepted} in all`,
        )
        expect({ lost: report.lost, duplicated: report.duplicated, phantom: report.phantom }).toEqual({
          lost: 0,
          duplicated: 0,
          phantom: 0,
        })
        if (shows === 'hit') expect(proven).toBeGreaterThan(0)
        else expect(ended() - endedBefore).toBe(0)
      },
      KILLS * 2 * RECOVERY_MS + 180_000,
    )
  }
})
