import { afterAll, beforeAll, expect, test } from 'bun:test'
import { verifySink } from '../../lib/verify/sinks.ts'
import { until } from '../door.ts'
import { startPlant, supervise, type Plant, type Supervised } from '../failure/plant.ts'
import { search, STACK_MS } from '../stack.ts'

/**
 * An index whose `temperature` was made for days of the calendar: the server refuses every document that has one. Then it is
 * mended there, and the dead letters go the way back.
 */
let plant: Plant
let sink: Supervised
let index = ''
const REFUSED = 20

async function ask(method: string, path: string, body?: unknown): Promise<void> {
  const answer = await fetch(`${plant.config.ELASTICSEARCH_URL}/${index}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  expect({ path, status: answer.status }).toEqual({ path, status: 200 })
}

beforeAll(async () => {
  const { url } = await search()
  index = `readings_${crypto.randomUUID().slice(0, 8)}`
  plant = await startPlant({ rate: 100, env: { ELASTICSEARCH_URL: url, ELASTICSEARCH_INDEX: index } })
  const temperature = { type: 'date', format: 'yyyy-MM-dd' }
  await ask('PUT', '', { mappings: { dynamic: false, properties: { temperature } } })
  sink = supervise('sink', ['consumer.ts', '--sink', 'elasticsearch'], plant.env, plant.config.STATE_DIR)
  await until('refusals', async () => (await letters()) > REFUSED, 120_000)
  await plant.producer.stop()
  await until('all to be taken', async () => (await judged()).behind === 0, 120_000)
}, STACK_MS + 300_000)
afterAll(async () => {
  await sink?.stop()
  await plant?.stop()
}, 90_000)

const judged = () => verifySink(plant.config, 'elasticsearch', 30_000, () => {})

async function letters(): Promise<number> {
  const [row] = await plant.sql<{ n: number }[]>`select count(*)::integer as n from sink_dead_letters`
  return row?.n ?? 0
}

async function dlt(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const command = [process.execPath, '--no-env-file', 'lib/commands/dlt.ts', ...args]
  const sinkArgs = ['--sink', 'elasticsearch']
  const child = Bun.spawn([...command, ...sinkArgs], {
    ...{ stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
    env: plant.env,
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err: err.trim().split('\n').at(-1) ?? '' }
}

test('dlt --sink lists what the store has refused, shows one, and brings all back once it is mended', async () => {
  const count = await letters()
  const { dead_letters } = JSON.parse((await dlt('list', '--json')).out)
  expect(dead_letters).toMatchObject([{ reason: 'refused', count, written: 0 }])
  const place: string = dead_letters[0].newest
  const shown = await dlt('show', place)
  expect(shown.out).toContain(`dead letter ${place}  refused: mapper_parsing_exception`)
  expect(shown.out).toContain('not written')
  expect((await dlt('show', 'sensor-data/0/999999')).code).toBe(1)

  expect(await dlt('redrive', '--all', '--dry-run')).toMatchObject({
    code: 0,
    err: `${count} would be written`,
  })
  // Not mended yet: it stays a dead letter.
  expect(await dlt('redrive', place)).toMatchObject({ code: 1, err: '1 refused again' })
  expect(await judged()).toMatchObject({ lost: 0, phantom: 0, dead_lettered: count })

  await ask('POST', '/_close')
  await ask('PUT', '/_settings', { 'index.mapping.ignore_malformed': true })
  await ask('POST', '/_open')
  expect(await dlt('redrive', place)).toMatchObject({ code: 0, err: '1 written' })
  expect(await dlt('redrive', '--reason', 'refused')).toMatchObject({
    code: 0,
    err: expect.stringContaining(`${count - 1} written`),
  })
  expect(await dlt('redrive', '--all')).toMatchObject({ code: 0, err: `${count} already written` })
  const report = await judged()
  expect(report).toMatchObject({ lost: 0, duplicated: 0, phantom: 0, dead_lettered: 0 })
  expect(report.stored).toBe(report.accepted)
}, 240_000)
