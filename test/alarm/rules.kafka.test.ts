import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { sleep } from '../../lib/run.ts'
import { startPlant, type Plant } from '../failure/plant.ts'
import { STACK_MS } from '../stack.ts'

/** Rules on a running plant: three consumers, changed by the command, one killed in between. */
let plant: Plant
beforeAll(async () => {
  plant = await startPlant({ rate: 200 })
}, STACK_MS)
afterAll(() => plant.stop(), STACK_MS)

async function until<T>(what: string, ask: () => Promise<T | null | false>, boundMs = 60_000): Promise<T> {
  const deadline = performance.now() + boundMs
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (performance.now() > deadline) throw new Error(`Cannot see ${what} within ${boundMs / 1000} s`)
    await sleep(100)
  }
}

async function command(...args: string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: join(import.meta.dir, '../..'),
    env: plant.env,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect({ code: await child.exited, err }).toEqual({ code: 0, err: '' })
  return out
}

test('a limit changed by the command raises alarms on every partition without a restart; a kill in between changes no alarm', async () => {
  const { sql } = plant
  const inForce = (version: number) =>
    until(`rule book ${version} on three partitions`, async () => {
      const rows = await sql`select partition from rule_activations where book_version = ${version}`
      return rows.length === 3
    })
  await inForce(1)
  expect(await command('lib/commands/rules.ts', 'list')).toContain('the first book')
  const said = await command('lib/commands/rules.ts', 'limit', 'temperature.high', '5', '--by', 'somebody')
  const version = Number(said.match(/rule book (\d+)/)?.[1])
  await inForce(version)
  const sensors = await until('alarms of all temperature sensors', async () => {
    const [row] = await sql`
        select (select count(*)::int from sensors where sensor_type = 'temperature') as sensors,
          count(distinct sensor_id)::int as open, count(*) filter (where rule_version = ${version})::int as newer from alerts
        where active and rule_id = 'temperature.high'`
    return row && row.sensors > 3 && row.open >= row.sensors && row.newer > 0 ? row.open : null
  })
  expect(sensors).toBeGreaterThan(3)

  plant.consumers[0]!.kill('SIGKILL')
  await plant.untilFlowing(60_000)
  await command('lib/commands/rules.ts', 'limit', 'temperature.high', '100', '--by', 'somebody')
  await inForce(version + 1)
  await until('them all cleared', async () => {
    const [row] =
      await sql`select count(*)::int as open from alerts where active and rule_id = 'temperature.high'`
    return row?.open === 0
  })
  const doubled = await sql`
      select sensor_id, rule_id from alerts where rule_id not in ('machine.group', 'producer.down')
      group by sensor_id, rule_id, "timestamp" having count(*) > 1`
  expect([...doubled]).toEqual([])
  const twice = await sql`
      select alert_id, transition from alert_journal where transition in ('raised', 'cleared')
      group by 1, 2 having count(*) > 1`
  expect([...twice]).toEqual([])
  const why = await sql`select why, description from alerts where rule_id = 'temperature.high' limit 1`
  expect(why[0]!.why).toMatchObject({
    part: 'limit',
    rule: { id: 'temperature.high', kind: 'limit' },
    limits: { 'temperature.high_high': { limit: 40 } },
    live: true,
  })
  const sent = await until('the outbox empty', async () => {
    const [row] =
      await sql`select count(*) filter (where sent_at is null)::int as unsent, count(*)::int as all from outbox`
    return row?.unsent === 0 ? row.all : null
  })
  expect(sent).toBeGreaterThan(2 * sensors)
}, 180_000)
