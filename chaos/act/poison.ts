import { chownSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseConfig, type Config } from '../../lib/config.ts'
import { ask, closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { contentHash } from '../../lib/hash.ts'
import { DEVICE_TOPIC } from '../../lib/device.ts'
import { Fault, type Decoder } from '../../lib/ingest/decode.ts'
import { decodersOf } from '../../lib/ingest/decoders.ts'
import { flagNames } from '../../lib/ingest/flags.ts'
import { clusterOf, clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { log } from '../../lib/log.ts'
import { EXIT, run, sleep, Stop } from '../../lib/run.ts'
import { encodeLedger } from '../../lib/spool/ledger.ts'
import { openStore } from '../../lib/spool/store.ts'
import { catalogue, type Case, type Expected } from '../catalogue.ts'
import { deviceCatalogue, deviceMessage, registerSchemas } from '../poison/avro.ts'
import { endName, publishCatalogue, type Good, type Place, type Published } from '../poison/publish.ts'

/**
 * `bun chaos/act/poison.ts [--topic T] [--wait SECONDS] [--json]`: the catalogue of broken messages at a running system, and
 * the fate of each. What of it must be stored goes into a record of its own beside the spools, so that `bun run verify`
 * knows these readings, too.
 */
const { values } = parseArgs({
  options: {
    topic: { type: 'string' },
    wait: { type: 'string', default: '60' },
    json: { type: 'boolean' },
  },
})

await run('poison', async () => {
  const config = parseConfig()
  log.configure({ level: 'ERROR', service: 'poison' })
  const topic = values.topic ?? config.SENSOR_TOPIC
  const store = openStore(config.SPOOL_DIR, `poison-${crypto.randomUUID().slice(0, 8)}`)
  const clients = kafkaClients({ ...clusterOf(config), clientId: 'poison' })
  const view = clusterView(clients)
  const producer = clients.current().producer({ idempotent: false, retry: { retries: 5 } })
  const sql = connect(config.DATABASE_URL, { name: 'poison', max: 1 })
  try {
    const decode = decodersOf({ ...config, FLEET: 'all' }).get(topic) ?? null
    const { cases, goodValue } = await wordsOf(topic, config, store.runId)
    const before = await view.offsets(topic)
    await producer.connect()
    const published = await publishCatalogue(
      producer,
      {
        topic,
        partitions: before.length,
        goodSensor: (partition) => `${store.runId}.good-${partition}`,
        goodRun: store.runId,
        ...(goodValue ? { goodValue } : {}),
      },
      cases,
    )
    if (decode) await remember(store.db, decode, cases, published)
    const until = Date.now() + Number(values.wait) * 1000
    await untilStored(sql, topic, await view.offsets(topic), until)
    return report(cases, await fates(sql, topic, published.places), published.good, before)
  } finally {
    await producer.disconnect().catch(() => {})
    await view.close()
    await closeSql(sql)
    store.close()
    keepForTheLedger(config.SPOOL_DIR, store.producerId)
  }
})

/** The list that is written in the language of the topic: Avro of devices, else JSON of the factory. */
async function wordsOf(topic: string, config: Config, run: string) {
  if (topic !== DEVICE_TOPIC)
    return { cases: catalogue(Date.now(), run).map((one) => expectedOn(topic, config, one)), goodValue: null }
  const numbers = await registerSchemas(config.SCHEMA_REGISTRY_URL)
  return {
    cases: deviceCatalogue(Date.now(), run, numbers),
    goodValue: (device: string) => deviceMessage(device, Date.now(), numbers.ours),
  }
}

/** On a topic of another fleet nothing of it is a reading. */
function expectedOn(topic: string, config: Config, one: Case): Case {
  if (topic === config.SENSOR_TOPIC || one.expected.end === 'refused') return one
  return { ...one, expected: { end: 'dead_letter', reason: 'any' } }
}

/** One entry of a ledger for each sensor of which something must be stored under its number. */
async function remember(
  db: ReturnType<typeof openStore>['db'],
  decode: Decoder,
  cases: readonly Case[],
  { good }: Published,
): Promise<void> {
  const bySensor = new Map<string, Map<number, bigint>>()
  const note = (value: Buffer | null, seq: number) => {
    const decoded = decode(value)
    if (decoded instanceof Fault) return
    for (const reading of decoded.readings) {
      const numbers = bySensor.get(reading.sensorId) ?? new Map<number, bigint>()
      numbers.set(seq, contentHash(reading))
      bySensor.set(reading.sensorId, numbers)
    }
  }
  const kept = cases.filter((one) => one.expected.end === 'stored')
  await decode.learn?.([...kept.map((one) => one.value()), ...good.map((one) => one.value)])
  for (const one of kept) {
    const { expected } = one
    if (expected.end === 'stored' && !expected.flags.includes('unidentified'))
      note(one.value(), Number(one.headers.seq))
  }
  for (const one of good) note(one.value, one.seq)
  const insert = db.query('insert into sensors (sensor, sensor_id) values (?, ?)')
  const runs = [...bySensor].flatMap(([sensorId, numbers], sensor) => {
    insert.run(sensor, sensorId)
    return [...numbers].map(([firstSeq, hash]) => ({ sensor, firstSeq, hashes: [hash] }))
  })
  db.query('insert into ledger (accepted_at, body) values (?, ?)').run(Date.now(), encodeLedger(runs))
  db.query('update totals set accepted = ?, sent = ?').run(runs.length, runs.length)
}

/** In containers `verify` is another user than we are: the record belongs to whom the other spools belong to. */
function keepForTheLedger(dir: string, name: string): void {
  const { uid, gid } = statSync(dir)
  for (const file of readdirSync(dir)) if (file.startsWith(`${name}.`)) chownSync(join(dir, file), uid, gid)
}

async function untilStored(
  sql: Sql,
  topic: string,
  ends: readonly { partition: number; high: number }[],
  until: number,
): Promise<void> {
  for (;;) {
    const rows = await ask(
      'read how far it is stored',
      sql<{ partition: number; next_offset: number }[]>`
        select partition, next_offset from partition_progress where topic = ${topic}`,
    )
    const next = new Map(rows.map((row) => [row.partition, row.next_offset]))
    if (ends.every((end) => (next.get(end.partition) ?? 0) >= end.high)) return
    if (Date.now() > until) {
      throw new Stop(
        `Cannot tell the fates: the consumers have not stored ${topic} within ${values.wait} s: bun run status shows whether they run`,
        EXIT.fault,
      )
    }
    await sleep(500)
  }
}

/** What became of each case, in the words of the catalogue. */
async function fates(
  sql: Sql,
  topic: string,
  places: ReadonlyMap<number, Place>,
): Promise<Map<number, string[]>> {
  const first = Math.min(...[...places.values()].map((place) => place.offset ?? Infinity))
  const ends = new Map<string, string[]>()
  const add = (partition: number, offset: number, end: string) => {
    const place = `${partition}/${offset}`
    ends.set(place, [...(ends.get(place) ?? []), end])
  }
  const stored = await sql<{ partition: number; offset: number; flags: number }[]>`
    select r.partition, r."offset", r.flags from readings r join topics t using (topic_key)
    join sensors s using (sensor_key)
    where t.topic = ${topic} and r."offset" >= ${first} order by s.sensor_type desc`
  for (const row of stored) add(row.partition, row.offset, ['stored', ...flagNames(row.flags)].join(' '))
  const letters = await sql<{ partition: number; offset: number; reason: string }[]>`
    select partition, "offset", reason from dead_letters where topic = ${topic} and "offset" >= ${first}`
  for (const row of letters) add(row.partition, row.offset, `dead letter ${row.reason}`)
  return new Map(
    [...places].map(([id, { partition, offset }]) => [
      id,
      offset === null ? ['refused'] : (ends.get(`${partition}/${offset}`) ?? []),
    ]),
  )
}

function isExpected(expected: Expected, ends: readonly string[]): boolean {
  if (expected.end === 'repeat' || expected.end === 'conflict') return ends.length === 0
  if (expected.end === 'dead_letter' && expected.reason === 'any')
    return ends.length === 1 && ends[0]?.startsWith('dead letter') === true
  return ends.join(' and ') === endName({ expected })
}

function report(
  cases: readonly Case[],
  ends: ReadonlyMap<number, string[]>,
  good: readonly Good[],
  partitions: readonly unknown[],
): number {
  let wrong = 0
  for (const one of cases) {
    const seen = ends.get(one.id) ?? []
    const fine = isExpected(one.expected, seen)
    if (!fine) wrong++
    const fate = seen.join(' and ') || (fine ? `not stored, counted as ${one.expected.end}` : 'nothing')
    const line = { case: one.id, what: printable(one.what), fate, expected: endName(one), ok: fine }
    console.log(
      values.json
        ? JSON.stringify(line)
        : `${fine ? 'ok   ' : 'WRONG'} ${String(one.id).padStart(3)} ${line.what}: ${fate}${fine ? '' : ` (expected: ${endName(one)})`}`,
    )
  }
  console.error(
    `${wrong === 0 ? 'PASS' : 'FAIL'} poison: ${cases.length} broken messages among ${good.length} good ones in ${partitions.length} partitions, ${wrong} ended otherwise than expected`,
  )
  return wrong === 0 ? EXIT.ok : EXIT.fault
}

/** Some cases carry line ends and escape sequences in their names: a terminal must not obey them. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
