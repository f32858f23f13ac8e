import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { waitForCoordinator } from '../../lib/kafka/topics.ts'
import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { groupOf } from '../../lib/sink/sink.ts'
import { SINKS, type SinkName } from '../../lib/sink/open.ts'
import type { TestServer } from '../../lib/local/testbed.ts'
import { verifySink } from '../../lib/verify/sinks.ts'
import { until } from '../door.ts'
import { startPlant, supervise, type Plant, type Supervised } from '../failure/plant.ts'
import { search, STACK_MS, storage } from '../stack.ts'

/** A plant that runs, a sink of each kind beside it, and what is done to them; `verify --sink` judges. */
let plant: Plant
let sinks: Record<SinkName, Supervised>
let servers: Record<SinkName, TestServer & { url: string }>
const RATE = 500
/** each takes half a minute: the group waits for the dead member's session */
const KILLS = Number(process.env.KILLS ?? 2)

beforeAll(async () => {
  const [elasticsearch, s3] = await Promise.all([search(), storage()])
  servers = { elasticsearch, s3 }
  const id = crypto.randomUUID().slice(0, 8)
  plant = await startPlant({
    rate: RATE,
    env: {
      ELASTICSEARCH_URL: elasticsearch.url,
      ELASTICSEARCH_INDEX: `sensor_readings_${id}`,
      S3_ENDPOINT: s3.url,
      S3_BUCKET: `sensor-cold-${id}`,
      S3_OBJECT_INTERVAL: '1s',
    },
  })
  const view = clusterView(kafkaClients({ brokers: plant.config.KAFKA_BROKERS, clientId: 'test' }))
  for (const sink of SINKS)
    await waitForCoordinator(view, groupOf(plant.config, sink), 60_000, new AbortController().signal)
  await view.close()
  const start = (sink: SinkName) =>
    supervise(`sink-${sink}`, ['consumer.ts', '--sink', sink], plant.env, plant.config.STATE_DIR)
  sinks = { elasticsearch: start('elasticsearch'), s3: start('s3') }
}, STACK_MS + 120_000)
afterAll(async () => {
  await Promise.all(Object.values(sinks ?? {}).map((sink) => sink.stop()))
  await plant?.stop()
}, 90_000)

async function positions(sink: SinkName): Promise<number> {
  const rows = await plant.sql<{ taken: number | null }[]>`
    select sum(next_offset)::bigint as taken from sink_progress where sink like ${`${sink}:%`}`
  return rows[0]?.taken ?? 0
}

async function untilMoved(sink: SinkName): Promise<void> {
  const before = await positions(sink)
  await until(`${sink} to move on`, async () => (await positions(sink)) > before + RATE, 90_000)
}

const clean = { lost: 0, duplicated: 0, phantom: 0, behind: 0 }
const judged = (sink: SinkName) => verifySink(plant.config, sink, 90_000, () => {})

describe.each([...SINKS])('%s', (sink) => {
  test('takes what the plant sends, and verify finds every reading there once', async () => {
    await untilMoved(sink)
    const report = await judged(sink)
    expect(report).toMatchObject(clean)
    expect(report.stored).toBeGreaterThan(RATE)
  }, 200_000)

  test('killed in mid-batch: nothing lost, nothing twice', async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      await until(
        'a batch under way',
        async () =>
          (
            await plant.sql`select 1 from sink_progress where sink like ${`${sink}:%`} and planned_to is not null`
          ).length > 0,
        90_000,
      )
      const before = sinks[sink].restarts()
      sinks[sink].kill('SIGKILL')
      // what it had sent may still move its position: that is not yet the next one's work
      await until('the next one', async () => sinks[sink].restarts() > before, 30_000)
      await untilMoved(sink)
    }
    expect(sinks[sink].restarts()).toBeGreaterThanOrEqual(KILLS)
    expect(await judged(sink)).toMatchObject(clean)
  }, 400_000)

  test('its server killed: the sink waits, nothing becomes a dead letter, and all is there afterwards', async () => {
    const restarts = sinks[sink].restarts()
    await servers[sink].kill()
    await until('the sink to say so', async () =>
      (await logOf(sink)).some((line) => line.includes('sink.paused')),
    )
    await servers[sink].start()
    await untilMoved(sink)
    expect(await judged(sink)).toMatchObject({ ...clean, dead_lettered: 0 })
    expect(sinks[sink].restarts()).toBe(restarts)
  }, 400_000)
})

async function logOf(sink: SinkName): Promise<string[]> {
  const dir = join(plant.config.STATE_DIR, 'logs')
  const file = readdirSync(dir).find((name) => name === `sink-${sink}.log`) ?? ''
  return (await Bun.file(join(dir, file)).text()).split('\n')
}

test('documents are found by their quantity, and name their place in the log', async () => {
  const { ELASTICSEARCH_URL, ELASTICSEARCH_INDEX } = plant.config
  const query = { query: { range: { temperature: { gt: 20 } } }, size: 1 }
  const answer = await fetch(`${ELASTICSEARCH_URL}/${ELASTICSEARCH_INDEX}/_search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(query),
  })
  const { hits } = (await answer.json()) as {
    hits: { hits: { _id: string; _source: Record<string, unknown> }[] }
  }
  const [hit] = hits.hits
  expect(hit?._source).toMatchObject({
    sensor_type: 'temperature',
    value: hit?._source.temperature as number,
  })
  expect(hit?._id).toBe(`${hit?._source.topic}+${hit?._source.partition}+${hit?._source.offset}`)
})

test('what anybody has put beside it is a phantom, and no end of the verdict', async () => {
  const { ELASTICSEARCH_URL, ELASTICSEARCH_INDEX: index } = plant.config
  const put = await fetch(`${ELASTICSEARCH_URL}/${index}/_doc/odd`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ foo: 1 }),
  })
  expect(put.status).toBe(201)
  const bucket = new Bun.S3Client({
    endpoint: plant.config.S3_ENDPOINT,
    bucket: plant.config.S3_BUCKET,
    accessKeyId: plant.config.S3_ACCESS_KEY,
    secretAccessKey: plant.config.S3_SECRET_KEY,
  })
  await Promise.all([bucket.write('odd.ndjson.zst', 'no zstd'), bucket.write('odd.parquet', 'PAR1')])
  expect(await judged('elasticsearch')).toMatchObject({ ...clean, phantom: 1, unreadable: ['odd'] })
  const ofS3 = await judged('s3')
  expect(ofS3).toMatchObject({ ...clean, phantom: 1, unreadable: [expect.stringContaining('odd.')] })
  expect(Object.values(ofS3.copies).map((copy) => copy.phantom)).toEqual([1, 1])
}, 300_000)

test.each([...SINKS])(
  '%s: a store that is gone has lost everything, and one that was never begun is behind',
  async (sink) => {
    const gone = { ...plant.config, ELASTICSEARCH_INDEX: 'none_of_ours', S3_BUCKET: 'none-of-ours' }
    const report = await verifySink(gone, sink, 0, () => {})
    expect(report).toMatchObject({ stored: 0, phantom: 0 })
    expect(report.lost).toBeGreaterThan(RATE)
    expect(report.behind).toBeGreaterThan(RATE)
  },
  120_000,
)

test('killed it says nothing; stopped on purpose it says goodbye to every partition', async () => {
  const gone = () => plant.sql<{ left: boolean }[]>`
    select left_at is not null as left from sink_progress where sink like 's3:%'`
  await untilMoved('s3')
  expect((await gone()).some((row) => row.left)).toBe(false)
  sinks.s3.kill('SIGKILL')
  expect((await gone()).some((row) => row.left)).toBe(false)
  await untilMoved('s3')
  await sinks.s3.stop()
  const rows = await gone()
  expect(rows.length).toBeGreaterThan(0)
  expect(rows.every((row) => row.left)).toBe(true)
}, 200_000)
