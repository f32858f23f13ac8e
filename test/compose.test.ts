import { afterAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { until } from './door.ts'

/**
 * The containers, for real: up, readings flow, a consumer and a broker are killed, nothing is lost, down. Under a project
 * name and volumes of its own, so that it never touches a plant that somebody runs. Needs a Docker engine with the images
 * (or a way to them) and the default ports; COMPOSE=1 insists on it, COMPOSE=0 leaves it out.
 */
const PROJECT = 'smart-factory-test'
const ROOT = join(import.meta.dir, '..')
const UP_MS = 300_000 // images may have to be pulled and built
const RUN_MS = 540_000
const PORTS = [9092, 9094, 9096, 5432, 5000]
const PARTITIONS = 15 // of every fleet's topics: 3 + 6 + 3 + 3
const PATIENT_MS = 90_000 // on a machine that is busy with other things

let started = false

async function docker(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn(['docker', ...args], { cwd: ROOT, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out: out.trim(), err: err.trim() }
}

const compose = (...args: string[]) => docker('compose', '-p', PROJECT, '--env-file', '/dev/null', ...args)

/** Why the containers can't be had here; null where they can. */
async function obstacle(): Promise<string | null> {
  if (process.env.COMPOSE === '0') return 'COMPOSE=0'
  if (!Bun.which('docker')) return 'docker is not installed'
  const engine = await docker('info', '--format', '{{.ServerVersion}}')
  if (engine.code !== 0) return 'no Docker engine answers'
  const taken = await Promise.all(PORTS.map(async (port) => ((await isOpen(port)) ? [port] : [])))
  if (taken.flat().length > 0) return `port ${taken.flat().join(', ')} is in use`
  const image = await docker('image', 'inspect', 'apache/kafka:4.3.1', 'postgres:18', 'oven/bun:1.4.5-slim')
  if (image.code !== 0 && process.env.COMPOSE !== '1') return 'the images are not here (COMPOSE=1 pulls them)'
  return null
}

async function isOpen(port: number): Promise<boolean> {
  return Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } }).then(
    (socket) => (socket.end(), true),
    () => false,
  )
}

async function ask(statement: string): Promise<string> {
  const answer = await compose(
    ...[
      'exec',
      '-T',
      'postgres',
      'psql',
      '-h',
      '127.0.0.1',
      '-U',
      'factory_user',
      '-At',
      '-v',
      'ON_ERROR_STOP=1',
    ],
    ...['factory_monitoring', '-c', statement],
  )
  if (answer.code !== 0) throw new Error(`Cannot ask PostgreSQL: ${answer.err}`)
  return answer.out
}

/** The last words of every service that isn't well. */
async function whyNot(said: string): Promise<string> {
  const format = '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}'
  const { out } = await compose('ps', '--all', '--format', format)
  const unwell = out.split('\n').filter((line) => !/ running healthy 0$|^init exited\s+0$/.test(line))
  const logs = await Promise.all(
    unwell.map((line) => compose('logs', '--tail', '10', line.split(' ')[0] ?? '')),
  )
  return [said.split('\n').at(-1), ...unwell, ...logs.map((log) => log.out)].join('\n')
}

const stored = async () => Number(await ask('select count(*) from sensor_readings'))

/** Partitions held by consumers that were heard of within three seconds. */
const covered = () =>
  ask(`select count(distinct p) from consumer_health, jsonb_array_elements(assigned_partitions) p
       where last_heartbeat > now() - interval '3 seconds' and status = 'active'`).then(Number)

afterAll(async () => {
  if (started) await compose('--profile', '*', 'down', '--volumes', '--timeout', '5')
}, 120_000)

test(
  'docker compose: up, readings flow, a killed consumer and a killed broker cost nothing, down',
  async () => {
    const reason = await obstacle()
    if (reason !== null) {
      expect(process.env.COMPOSE, `COMPOSE=1 insists on the containers: ${reason}`).not.toBe('1')
      return console.warn(`docker compose was not run: ${reason}`)
    }
    started = true
    const up = await compose('up', '--detach', '--wait', '--wait-timeout', String(UP_MS / 1000))
    if (up.code !== 0) throw new Error(`Cannot bring it up: ${await whyNot(up.err)}`)

    // All five types arrive and are readable in words.
    await until(
      'readings of every type',
      async () => Number(await ask('select count(distinct sensor_type) from sensor_readings')) === 5,
      PATIENT_MS,
    )
    expect(await covered()).toBe(PARTITIONS)
    const status = await fetch('http://127.0.0.1:5000/api/system-status')
    expect(status.status).toBe(200)
    expect(await status.json()).toHaveProperty('status')
    expect((await fetch('http://127.0.0.1:5000/readyz')).status).toBe(200)

    // Nobody is root, and nobody may write outside the volumes.
    for (const container of ['kafka1', 'consumer-1', 'temperature-sensor']) {
      expect((await docker('exec', container, 'id', '-u')).out).not.toBe('0')
      expect((await docker('exec', container, 'sh', '-c', 'echo x > /usr/x')).code).not.toBe(0)
    }

    expect((await docker('kill', 'consumer-1', 'kafka2')).code).toBe(0)
    await until(
      'the other consumers to hold every partition',
      async () => (await covered()) === PARTITIONS,
      PATIENT_MS,
    )
    const before = await stored()
    await until('readings to flow on', async () => (await stored()) > before + 20, PATIENT_MS)

    expect((await docker('start', 'consumer-1', 'kafka2')).code).toBe(0)
    await until(
      'all three consumers',
      async () =>
        (await ask(
          "select count(*) from consumer_health where last_heartbeat > now() - interval '3 seconds' and status = 'active'",
        )) === '3',
      PATIENT_MS,
    )
    const verify = await compose('run', '--rm', 'verify', '--json')
    expect({ code: verify.code, ...lastJson(verify.out) }).toMatchObject({
      code: 0,
      lost: 0,
      duplicated: 0,
      phantom: 0,
    })
    expect(lastJson(verify.out).stored).toBeGreaterThan(before)

    const down = await compose('--profile', '*', 'down', '--volumes', '--timeout', '30')
    expect(down.code).toBe(0)
    started = false
    const left = await docker(
      'ps',
      '--all',
      '--quiet',
      '--filter',
      `label=com.docker.compose.project=${PROJECT}`,
    )
    const volumes = await docker(
      'volume',
      'ls',
      '--quiet',
      '--filter',
      `label=com.docker.compose.project=${PROJECT}`,
    )
    expect({ containers: left.out, volumes: volumes.out }).toEqual({ containers: '', volumes: '' })
  },
  RUN_MS,
)

function lastJson(text: string): Record<string, number> {
  const line = text.split('\n').findLast((one) => one.startsWith('{'))
  if (!line) throw new Error(`Cannot read the report: verify said ${JSON.stringify(text)}`)
  return JSON.parse(line)
}
