import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { identify } from '../../lib/local/process.ts'
import { startReaper, type Reaper } from '../../lib/local/reaper.ts'
import { startTestKafka, startTestPostgres } from '../../lib/local/testbed.ts'
import { EXIT } from '../../lib/run.ts'

/** ends what belongs to this process when it is gone, however that came */
let reaper: Reaper | null = null

/**
 * A Kafka of so many nodes and a PostgreSQL of the benchmark's own, and what programs need to find them. Half a measurement says
 * nothing: with the signal the benchmark ends at once, and all that it has started after it.
 */
export async function benchServers(name: string, nodes: 1 | 3, signal: AbortSignal) {
  signal.addEventListener('abort', () => process.exit(EXIT.fault))
  const dir = mkdtempSync(join(tmpdir(), `bench-${name}-`))
  const mine = (reaper = startReaper(dir))
  /** where further servers belong, so that they end with this process, too */
  const at = { dir, onStart: mine.watch, longLived: true }
  const [kafka, postgres] = await Promise.all([startTestKafka({ nodes, ...at }), startTestPostgres(at)])
  return {
    at,
    kafka,
    postgres,
    env: {
      KAFKA_BROKERS: kafka.brokers.join(','),
      DATABASE_URL: postgres.url,
      STATE_DIR: dir,
      LOG_LEVEL: 'WARN',
    },
    async stop() {
      await Promise.all([kafka.stop(), postgres.stop()])
      rmSync(dir, { recursive: true, force: true })
      mine.dismiss()
    },
  }
}

/** A program of the benchmark, which ends with it: one of ours by its arguments, or another's command. */
export function startProgram(argv: string[], env: Record<string, string | undefined>, cwd?: string) {
  const child = Bun.spawn(argv, { env, ...(cwd ? { cwd } : {}), stdio: ['ignore', 'ignore', 'inherit'] })
  const id = identify(child.pid)
  if (id) reaper?.watch(id)
  return child
}

/** So many consumers as the product starts them. */
export function startConsumers(env: Record<string, string>, count: number) {
  const argv = [process.execPath, join(import.meta.dir, '../../consumer.ts')]
  return Array.from({ length: count }, (_, i) =>
    startProgram(argv, { ...process.env, ...env, CONSUMER_ID: `consumer-${i + 1}` }),
  )
}
