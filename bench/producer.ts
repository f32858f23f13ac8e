import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../lib/config.ts'
import type { Measured } from '../lib/fleet/fleet.ts'
import { createPlant, plantOptions } from '../lib/fleet/plant.ts'
import { clusterView, kafkaClients } from '../lib/kafka/client.ts'
import { partitionOf } from '../lib/kafka/partitioner.ts'
import { startSender } from '../lib/kafka/send.ts'
import { createMissing } from '../lib/kafka/topics.ts'
import { startReaper } from '../lib/local/reaper.ts'
import { startTestKafka } from '../lib/local/testbed.ts'
import { log } from '../lib/log.ts'
import { EXIT, run } from '../lib/run.ts'
import { openSpool } from '../lib/spool/spool.ts'
import { nowMicros } from '../lib/time.ts'
import { topicPlan } from '../lib/topics.ts'
import { settingsOf } from './ground/settings.ts'
import { showFigures } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench producer: how many readings a second one producer accepts (on the disk, each commit flushed) and
delivers (acknowledged by two of three brokers), everything on this machine. The fleet simulates as fast as it is taken.

  --seconds N   how long it accepts (default 20)
  --batch N     readings an accept (default 500)
  --help        this text

exit 0 all delivered · 1 not all arrived, or Ctrl-C`

const SENSORS_PER_TYPE = 200

await run('bench', async (signal) => {
  const { seconds, batch } = settingsOf(HELP, { seconds: 20, batch: 500 })
  log.configure({ level: 'WARN', service: 'bench' })
  const before = machine()
  const dir = mkdtempSync(join(tmpdir(), 'bench-producer-'))
  const reaper = startReaper(dir)
  signal.addEventListener('abort', () => process.exit(EXIT.fault)) // the reaper ends the rest
  const kafka = await startTestKafka({ nodes: 3, dir, onStart: reaper.watch })
  try {
    const figures = await measure(dir, kafka.brokers, seconds, batch)
    showFigures(figures)
    const settings = {
      seconds,
      batch,
      sensors: SENSORS_PER_TYPE * 5,
      brokers: 3,
      replication: 3,
      acks: 'all',
      min_insync_replicas: 2,
      spool: 'WAL, synchronous=FULL',
    }
    console.log(JSON.stringify({ bench: 'producer', ...figures, settings, machine: before }, null, 2))
    return figures.in_log === figures.accepted ? EXIT.ok : EXIT.fault
  } finally {
    await kafka.stop()
    rmSync(dir, { recursive: true, force: true })
    reaper.dismiss()
  }
})

async function measure(dir: string, brokers: string[], seconds: number, batchSize: number) {
  const config = parseConfig({ KAFKA_BROKERS: brokers.join(',') })
  const plan = topicPlan(config)
  const clients = kafkaClients({ brokers, clientId: 'bench' })
  const view = clusterView(clients)
  await createMissing(view, plan, 3)
  const spool = openSpool({
    directory: join(dir, 'spool'),
    producerId: 'bench',
    maxBytes: config.SPOOL_MAX_SIZE,
    whenFull: 'block',
    partitionOf: (_, key) => partitionOf(key, 3),
  })
  const sender = startSender({ spool, clients, plan })
  const readings = createPlant({ ...plantOptions(config), sensorsPerType: SENSORS_PER_TYPE }).between(
    nowMicros(),
    Infinity,
  )
  const cpu = process.cpuUsage()
  const start = performance.now()
  const end = start + seconds * 1000
  while (performance.now() < end) await spool.accept(nextBatch(readings, batchSize))
  const acceptedMs = performance.now() - start
  await spool.drained(AbortSignal.timeout(120_000))
  const deliveredMs = performance.now() - start
  const used = process.cpuUsage(cpu)
  const { accepted, sent } = spool.state()
  await sender.close()
  await spool.close()
  const offsets = await view.offsets(config.SENSOR_TOPIC)
  await view.close()
  return {
    accepted_per_second: Math.round((accepted / acceptedMs) * 1000),
    delivered_per_second: Math.round((sent / deliveredMs) * 1000),
    cpu_seconds_per_million: Number(((used.user + used.system) / accepted).toFixed(2)),
    memory_mib: Math.round(process.memoryUsage.rss() / 1024 ** 2),
    accepted,
    in_log: offsets.reduce((sum, o) => sum + o.high, 0),
  }
}

function nextBatch(readings: Generator<Measured>, size: number): Measured[] {
  return Array.from({ length: size }, () => readings.next().value as Measured)
}
