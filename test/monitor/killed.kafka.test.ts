import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { freePorts } from '../../lib/local/ports.ts'
import type { Incident } from '../../lib/monitor/incident/incident.ts'
import { openDoor, until, type Door } from '../door.ts'
import { startPlant, type Plant } from '../failure/plant.ts'
import { kafka, STACK_MS } from '../stack.ts'

/** The real plant, its real monitor, and a killer with a watch. */
let plant: Plant
let monitor: Door
let base: string

beforeAll(async () => {
  plant = await startPlant({ rate: 200 })
  await plant.untilFlowing(60_000)
  const [port = 0] = await freePorts(1)
  base = `http://127.0.0.1:${port}`
  const env = Object.fromEntries(
    Object.entries(plant.env).filter((e): e is [string, string] => e[1] !== undefined),
  )
  monitor = openDoor('monitor.ts', { ...env, MONITORING_PORT: String(port) })
  await until('the monitor to see that all is well', async () => (await verdict()) === 'OK', 60_000)
  // Who has not been heard since a monitor came is not missed by it: each is heard first, then one is killed.
  const seenAt = Date.now()
  await until('a word of every consumer', async () => {
    const { consumers } = await ask('/api/consumer-health')
    return consumers.length === 3 && consumers.every((c: any) => Date.parse(c.last_heartbeat) > seenAt)
  })
}, STACK_MS * 2)
afterAll(async () => {
  await monitor?.stop()
  await plant?.stop()
}, 60_000)

const ask = async (path: string): Promise<any> => (await fetch(base + path)).json()
const verdict = () =>
  ask('/api/system-status').then(
    (s) => s.verdict.word,
    () => null,
  )

/** The incident that this name is a cause of, once it fulfils the condition. */
const incidentOf = (cause: string, when: (i: Incident) => boolean) =>
  until(
    `an incident of ${cause}`,
    async () => {
      const { incidents } = (await ask('/api/incidents')) as { incidents: Incident[] }
      return incidents.find((i) => i.causes.includes(cause) && when(i))
    },
    60_000,
  )

describe('a killed consumer', () => {
  test('is told on the page within seconds, with the time of the kill, who took over, and what it cost', async () => {
    const victim = plant.consumers[1]!
    const killedAt = Date.now()
    victim.kill('SIGKILL')
    const noticed = await incidentOf(victim.name, () => true)
    expect(Date.parse(noticed.noticed_at) - killedAt).toBeLessThan(5000)
    const story = await incidentOf(victim.name, (i) => i.closed_at !== null)
    const step = (kind: string, subject: string) =>
      story.steps.find((s) => s.kind === kind && s.subject === subject)
    // Its heartbeats come every second, so its last sign of life lies at most so far before the killer's own time.
    expect(Math.abs(Date.parse(step('died', victim.name)!.at) - killedAt)).toBeLessThan(2000)
    expect(step('back', victim.name)).toBeDefined()
    expect(story.steps.some((s) => s.kind === 'assigned')).toBe(true)
    expect(story.steps.some((s) => s.kind === 'recovered')).toBe(true)
    expect(story.cost.partitions_moved).toBeGreaterThan(0)
    expect(story.cost.max_lag).toBeGreaterThan(0)
    expect(story.cost.readings_missing).toBe(0)
    expect(await verdict()).toBe('OK')
    const judged = await incidentOf(victim.name, (i) => typeof i.cost.readings_lost === 'number')
    expect(judged.cost.readings_lost).toBe(0)
    expect(judged.steps.at(-1)).toMatchObject({
      kind: 'ledger',
      text: 'By the ledger no accepted reading is lost.',
    })
  }, 150_000)
})

describe('a killed broker', () => {
  test('is missed within two seconds, long before the cluster misses it', async () => {
    const node = (await kafka()).nodes[2]!
    const killedAt = Date.now()
    await node.kill()
    try {
      const noticed = await incidentOf('broker 3', () => true)
      expect(Math.abs(Date.parse(noticed.opened_at) - killedAt)).toBeLessThan(2500)
      expect(await verdict()).not.toBe('OK')
    } finally {
      await node.start()
    }
    const story = await incidentOf('broker 3', (i) => i.closed_at !== null)
    expect(story.steps.some((s) => s.kind === 'back' && s.subject === 'broker 3')).toBe(true)
    expect(story.cost.readings_missing).toBe(0)
  }, 150_000)
})

describe('all brokers killed', () => {
  test('every page and answer is there, with what was known last and since when Kafka is away', async () => {
    const { nodes } = await kafka()
    const before = await ask('/api/partition-assignment')
    const killedAt = Date.now()
    await Promise.all(nodes.map((node) => node.kill()))
    try {
      await until(
        'Kafka to be missed',
        async () => {
          const { sections } = await ask('/api/system-status')
          const { status } = await ask('/api/partition-assignment')
          return sections.kafka.status === 'error' && status === 'error'
        },
        60_000,
      )
      expect(await verdict()).not.toBe('OK')
      const status = await ask('/api/system-status')
      expect(status.sections.kafka).toMatchObject({
        status: 'error',
        error: { title: 'Kafka does not answer' },
      })
      const { since } = status.sections.kafka.error
      expect(Date.parse(since) - killedAt).toBeLessThan(30_000)
      expect(Date.parse(status.sections.kafka.as_of)).toBeLessThan(Date.parse(since))
      expect(status.sections.storage.status).toBe('ok')
      for (const path of [
        '/',
        '/?view=wall',
        '/alarms',
        '/sensors',
        '/rules',
        '/incidents',
        '/dead-letters',
        '/docs',
      ])
        expect([path, (await fetch(base + path)).status]).toEqual([path, 200])
      for (const path of [
        '/api/consumer-health',
        '/api/producer-health',
        '/api/recent-alerts',
        '/api/real-time-metrics',
      ])
        expect([path, (await fetch(base + path)).status]).toEqual([path, 200])
      const page = await (await fetch(base)).text()
      expect(page).toContain('does not answer')
      const assignment = await ask('/api/partition-assignment')
      expect(assignment.status).toBe('error')
      expect(assignment.assignments.length).toBe(before.assignments.length)
      expect((await fetch(`${base}/readyz`)).status).toBe(503)
      expect((await fetch(`${base}/livez`)).status).toBe(200)
    } finally {
      await Promise.all(nodes.map((node) => node.start()))
    }
    await until('all to be well again', async () => (await verdict()) === 'OK', 90_000)
  }, 240_000)
})
