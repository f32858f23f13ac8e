import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig, type Config } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { verify } from '../../lib/verify/verify.ts'
import { database, freshTopic, kafka } from '../stack.ts'

/** Topics, database and spool of one's own for production lines, and the producer as people start it. */
export interface Room {
  env: Record<string, string>
  config: Config
  sql: Sql
  /** writes a configuration; its path */
  file(name: string, content: unknown): string
  produce(args: string[], env?: Record<string, string>): Producer
  verify(): ReturnType<typeof verify>
  close(): Promise<void>
}

export interface Producer {
  child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  exited: Promise<number>
  stdout: Promise<string>
  stderr: Promise<string>
}

export const ROOT = join(import.meta.dir, '../..')
const LOG_TIME = { 'message.timestamp.type': 'LogAppendTime' }
/** sensor-data, readings of lines, signs of life: three partitions each */
export const PARTITIONS = 9

export async function openRoom(): Promise<Room> {
  const [{ brokers }, { url }, sensors, readings, heartbeats, alerts] = (await Promise.all([
    kafka(),
    database(),
    ...[1, 2, 3].map(() => freshTopic(3, LOG_TIME)),
    freshTopic(2),
  ] as const)) as unknown as [{ brokers: string[] }, { url: string }, string, string, string, string]
  const dir = mkdtempSync(join(tmpdir(), 'soda-'))
  const sql = connect(url, { name: 'test', max: 2 })
  const env = {
    PATH: process.env.PATH ?? '',
    FLEET: 'soda',
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: url,
    SENSOR_TOPIC: sensors,
    SODA_TOPIC: readings,
    SODA_HEARTBEAT_TOPIC: heartbeats,
    ALERT_TOPIC: alerts,
    CONSUMER_GROUP: `group-${readings}`,
    STATE_DIR: dir,
    SPOOL_DIR: join(dir, 'spool'),
  }
  const config = parseConfig(env)
  const children: Bun.Subprocess[] = []
  return {
    env,
    config,
    sql,
    file(name, content) {
      const file = join(dir, name)
      writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
      return file
    },
    produce(args, more = {}) {
      const child = Bun.spawn(
        [process.execPath, '--no-env-file', 'producer.ts', '--fleet', 'soda', ...args],
        {
          cwd: ROOT,
          env: { ...env, FLEET: 'factory', ...more }, // the flag alone must do
          stdin: 'ignore',
          stdout: 'pipe',
          stderr: 'pipe',
        },
      )
      children.push(child)
      const [stdout, stderr] = [new Response(child.stdout).text(), new Response(child.stderr).text()]
      return { child, exited: child.exited, stdout, stderr }
    },
    verify: () => verify(config, 60_000, () => {}),
    async close() {
      for (const child of children) child.kill('SIGKILL')
      await Promise.all(children.map((child) => child.exited))
      await closeSql(sql)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** The messages of log lines of a level, as a person finds them. */
export function saidAt(level: string, stderr: string): string[] {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, string>)
    .filter((line) => line['log.level'] === level)
    .map((line) => line['error.message'] ?? line.message ?? '')
}
