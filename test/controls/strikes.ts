import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { sleep } from '../../lib/run.ts'
import { killBackend, untilWhole } from '../failure/faults.ts'
import type { Plant, Supervised } from '../failure/plant.ts'
import { kafka } from '../stack.ts'
import type { ControlName } from './controls.ts'
import { LOSE_ANSWERS, type JudgedOptions, type Note } from './judged.ts'

/** How each control is brought to show itself: the run's settings, and what is done to it. */
export interface Trial extends JudgedOptions {
  strike: (plant: Plant, note: Note) => Promise<void>
}

const RECOVERY_MS = 60_000
const LOSSY: JudgedOptions = { preload: [LOSE_ANSWERS], env: { LOSE_ANSWERS: '0.15', KILL_SEED: '7' } }
const nothing = () => Promise.resolve()

/** A zombie's fetch has timed out by the time it wakes, so that real brokers hand it nothing to write twice: the simulation does. */
export type Struck = Exclude<ControlName, 'noFence'>

export const trials: Record<Struck, Trial> = {
  autoCommit: { rate: 3000, settleMs: 10_000, strike: backends },
  noCompareAndSet: { rate: 6000, strike: zombie },
  noMark: { ...LOSSY, strike: nothing },
  kafkaOffsets: { settleMs: 8000, strike: deadConsumer },
  idempotent: { ...LOSSY, strike: nothing },
  twoPartitions: { strike: rollingRestart },
  oneAck: {
    topicConfig: { 'unclean.leader.election.enable': 'true', 'min.insync.replicas': '1' },
    strike: leaderAlone,
  },
  lettersOnErrors: { rate: 3000, settleMs: 10_000, strike: backends },
  clockIds: { calmMs: 3000, strike: nothing },
}

async function backends(plant: Plant, note: Note): Promise<void> {
  for (let k = 0; k < 4; k++) {
    await note('postgres.backend_kill', 'postgres', () => killBackend(plant, Math.random))
    await sleep(3000) // not until it flows again: a broken build may never
  }
}

async function deadConsumer(plant: Plant, note: Note): Promise<void> {
  const [consumer] = plant.consumers as [Supervised]
  await note('consumer.kill', consumer.name, async () => consumer.kill('SIGKILL'))
  await sleep(25_000) // its session, the new assignment, and the claims
}

/** Frozen for longer than its session, with a batch in hand; its partitions are others' when it wakes. */
async function zombie(plant: Plant, note: Note): Promise<void> {
  for (const consumer of plant.consumers.slice(0, 2)) {
    const pid = consumer.pid()
    await note('consumer.freeze', consumer.name, async () => {
      process.kill(pid, 'SIGSTOP')
      await sleep(16_000)
      process.kill(pid, 'SIGCONT')
    })
    await sleep(4000)
  }
}

async function rollingRestart(plant: Plant, note: Note): Promise<void> {
  const { nodes } = await kafka()
  for (const node of nodes) {
    await note('broker.restart', node.name, async () => {
      await node.stop()
      await sleep(1000)
      await node.start()
    })
    await untilWhole(plant, RECOVERY_MS)
  }
}

/** The two other copies are frozen while the leader goes on acknowledging; then it dies, and they wake without its last words. */
async function leaderAlone(plant: Plant, note: Note): Promise<void> {
  const { nodes } = await kafka()
  const leader = nodes[(await leaderOf(plant)) - 1]
  const others = nodes.filter((node) => node !== leader)
  await note('broker.leader_alone', leader?.name ?? '', async () => {
    for (const node of others) node.pause()
    await sleep(2000)
    await leader?.kill()
    for (const node of others) node.resume()
    await sleep(20_000)
    await leader?.start()
  })
  await untilWhole(plant, RECOVERY_MS)
}

async function leaderOf(plant: Plant): Promise<number> {
  const view = clusterView(kafkaClients({ brokers: plant.config.KAFKA_BROKERS, clientId: 'test' }))
  try {
    const seen = await view.ask('find the leader', (a) =>
      a.fetchTopicMetadata({ topics: [plant.config.SENSOR_TOPIC] }),
    )
    return seen.topics[0]?.partitions.find((p) => p.partitionId === 0)?.leader ?? 1
  } finally {
    await view.close()
  }
}
