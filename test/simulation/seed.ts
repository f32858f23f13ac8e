import { decodeFactory } from '../../lib/ingest/decode.ts'
import { identityOf } from '../../lib/ingest/identity.ts'
import { createOutputs } from '../../lib/ingest/outputs.ts'
import { createProcessor, createState } from '../../lib/ingest/partition.ts'
import { CALM, createCluster, TOPIC, type Cluster } from './kafka.ts'
import { newDisk, rules, startConsumer, startProducer, type Disk } from './plant.ts'
import { createServer } from './postgres.ts'
import type { Tables } from './statements.ts'
import { createWorld, newProcess, type Process, type World } from './time.ts'

export interface Outcome {
  seed: number
  /** what does not hold; empty where all does */
  faults: string[]
  accepted: number
  /** what came of the weather: repeats in the log, and how often a partition changed hands */
  repeats: number
  claims: number
}

const PARTITIONS = 2
const FAULTS_MS = 16_000
/** a zombie's last words: some seeds wait for them */
const AFTERMATH_MS = 12_000
/** everything that a fault may still hold up: a session, an election of claims, the longest back-off, a second try */
const DRAIN_MS = 120_000

/** One seed: a plant that is struck for sixteen seconds of its time, healed, drained and then judged. */
export async function runSeed(seed: number): Promise<Outcome> {
  const world = createWorld(seed)
  try {
    const cluster = createCluster(world, PARTITIONS)
    const server = createServer(world, () => cluster.weather)
    const disk = newDisk(`run-${seed}`)
    const positions = new Map<number, number>()
    const faults: string[] = []
    server.onCommit = () => {
      for (const [partition, { next_offset }] of server.tables.progress) {
        if (next_offset < (positions.get(partition) ?? 0))
          faults.push(`position of ${partition} went back to ${next_offset}`)
        positions.set(partition, next_offset)
      }
    }
    strike(world, cluster, server, disk)
    const drained = () =>
      disk.chunks.size === 0 &&
      cluster.logs.every((log, p) => (server.tables.progress.get(p)?.next_offset ?? 0) >= log.length)
    await world.run(FAULTS_MS)
    await world.run(FAULTS_MS + DRAIN_MS, drained)
    if (world.chance(0.1)) await world.run(world.now() + AFTERMATH_MS)
    if (!(await world.run(world.now() + DRAIN_MS, drained)))
      faults.push(`not drained: ${disk.chunks.size} chunks wait, ${whereIs(cluster, server.tables)}`)
    faults.push(...world.faults, ...judge(cluster, server.tables, disk))
    const claims = [...server.tables.progress.values()].reduce((sum, p) => sum + p.epoch, 0)
    const repeats = cluster.logs.flat().length - disk.accepted.length
    return { seed, faults: [...new Set(faults)], accepted: disk.accepted.length, repeats, claims }
  } finally {
    world.end()
  }
}

function whereIs(cluster: Cluster, tables: Tables): string {
  return cluster.logs
    .map((log, p) => `partition ${p} at ${tables.progress.get(p)?.next_offset ?? 'nothing'} of ${log.length}`)
    .join(', ')
}

/** Chooses who and what is struck, when and for how long; from FAULTS_MS on all is well. */
function strike(world: World, cluster: Cluster, server: ReturnType<typeof createServer>, disk: Disk): void {
  const nature = newProcess('fate')
  const until = FAULTS_MS
  let producer = startProducer(world, cluster, disk, until)
  const consumers = Array.from({ length: world.chance(0.5) ? 2 : 3 }, (_, i) => start(i))

  function start(i: number): Process {
    const mine = startConsumer(world, cluster, server, `consumer-${i + 1}`, () => restart(i, mine))
    return mine
  }
  function restart(i: number, was: Process): void {
    was.alive = false
    world.after(world.between(200, 2000), nature, () => {
      if (consumers[i] === was) consumers[i] = start(i)
    })
  }
  const stormy = world.random()
  const share = (most: number) => (world.chance(0.6) ? world.random() * most * stormy : 0)
  cluster.weather = {
    lostRequest: share(0.05),
    lostAnswer: share(0.15),
    lateRequest: share(0.08),
    refusal: share(0.1),
    lostStatement: share(0.04),
    unknownCommit: share(0.15),
    slowest: world.between(2, 300),
  }
  world.after(until, nature, () => {
    cluster.weather = { ...CALM }
    for (const p of [producer, ...consumers]) p.frozenUntil = Math.min(p.frozenUntil, world.now() + 1)
  })

  const fate = () => {
    if (world.now() >= until) return
    const i = Math.floor(world.random() * consumers.length)
    const victim = consumers[i] as Process
    const dice = world.random()
    if (dice < 0.2) restart(i, victim)
    else if (dice < 0.45) victim.frozenUntil = world.now() + world.between(50, 14_000)
    else if (dice < 0.6) {
      producer.alive = false
      producer = startProducer(world, cluster, disk, until)
    } else if (dice < 0.7) producer.frozenUntil = world.now() + world.between(50, 6000)
    else if (dice < 0.85) server.killBackends()
    else if (dice < 0.94) cluster.coordinator.rebalance()
    else cluster.coordinator.vanish(world.between(100, 9000))
    world.after(world.between(200, 6000), nature, fate)
  }
  world.after(world.between(500, 4000), nature, fate)
}

function judge(cluster: Cluster, tables: Tables, disk: Disk): string[] {
  const faults: string[] = []
  const stored = Map.groupBy(tables.rows, (r) => `${sensorOf(tables, r.sensorKey)}/${r.seq}`)
  for (const a of disk.accepted) {
    const rows = stored.get(`${a.sensor}/${a.seq}`) ?? []
    if (rows.length === 0) faults.push(`${a.sensor}/${a.seq} is lost`)
    if (rows.length > 1) faults.push(`${a.sensor}/${a.seq} is stored ${rows.length} times`)
    if (rows.some((r) => r.value !== a.value || r.run !== disk.runId))
      faults.push(`${a.sensor}/${a.seq} is not stored as it was accepted`)
  }
  if (tables.rows.length > 0 && stored.size > disk.accepted.length) faults.push('a row that nobody sent')
  if (tables.letters.length > 0)
    faults.push(`${tables.letters.length} good messages are dead letters: ${tables.letters[0]?.reason}`)
  for (const event of tables.events) faults.push(`told: ${event}`)
  for (const [partition, log] of cluster.logs.entries())
    faults.push(...judgePartition(partition, log, tables))
  return faults
}

/** What the log means by itself, run once and undisturbed, is what has to be stored of it. */
function judgePartition(partition: number, log: Cluster['logs'][number], tables: Tables): string[] {
  const outputs = createOutputs()
  const where = { topic: TOPIC, partition, topicKey: 1 }
  const processor = createProcessor(
    createState(),
    () => outputs,
    where,
    { sensor: () => 1, run: () => 1 },
    'judge',
  )
  processor.activate(rules, 0, null)
  for (const [offset, { key, value, headers, timestamp }] of log.entries())
    processor.process(
      { offset, appendedAtMs: timestamp, key, value, headers },
      decodeFactory(value),
      identityOf(headers),
    )
  const faults: string[] = []
  const counters = tables.progress.get(partition)?.counters ?? {}
  for (const name of ['stored', 'repeated', 'missing', 'filled', 'conflicting'] as const)
    if ((counters[name] ?? 0) !== outputs.counters[name])
      faults.push(
        `partition ${partition} counts ${counters[name] ?? 0} ${name}, the log says ${outputs.counters[name]}`,
      )
  const cleared = new Map(outputs.cleared.map((c) => [c.alert_id, c.cleared_offset]))
  const alerts = new Map([...tables.alerts].filter(([, a]) => a.partition === partition))
  for (const { alert_id, offset } of outputs.raised) {
    const there = alerts.get(alert_id)
    if (!there) faults.push(`no alarm for offset ${offset} of partition ${partition}`)
    else if (there.cleared !== (cleared.get(alert_id) ?? null))
      faults.push(
        `the alarm of offset ${offset} of partition ${partition} ends at ${there.cleared}, by the log at ${cleared.get(alert_id) ?? null}`,
      )
    alerts.delete(alert_id)
  }
  for (const [id, { offset }] of alerts)
    faults.push(`alarm ${id} of offset ${offset} of partition ${partition} is not in the log`)
  return faults
}

function sensorOf(tables: Tables, key: number): string {
  return String(tables.sensors.find((s) => s.sensor_key === key)?.sensor_id)
}
