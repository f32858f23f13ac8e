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

const faults: [name: string, strike: Fault, mustProve: boolean][] = [
  ['kill -9 of a consumer in mid-batch', killConsumer, true],
  ['kill -9 of the producer in mid-send', killProducer, true],
  ['a consumer frozen past its session, then woken', freezeConsumer, true],
  ['the backend of a consumer killed in a transaction', killBackend, true],
  ['kill -9 of the leader of a partition', killLeader, false],
  ['the leader of a partition frozen', freezeLeader, false],
]

describe(`${KILLS} strikes a fault, seed ${SEED}`, () => {
  let plant: Plant

  beforeAll(async () => {
    plant = await startPlant({ rate: RATE })
    await plant.untilFlowing(RECOVERY_MS)
  }, STACK_MS + RECOVERY_MS)

  afterAll(() => plant?.stop(), 60_000)

  for (const [index, [name, strike, mustProve]] of faults.entries()) {
    test(
      `${name}: nothing lost, doubled or made up`,
      async () => {
        const random = createRandom(SEED + index)
        const started = performance.now()
        const before = (await plant.verify()).accepted
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
        if (mustProve) expect(proven).toBeGreaterThan(0)
      },
      KILLS * 2 * RECOVERY_MS + 180_000,
    )
  }
})
