import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startReaper } from '../../lib/local/reaper.ts'
import { startTestKafka, startTestPostgres } from '../../lib/local/testbed.ts'

/** A Kafka of so many nodes and a PostgreSQL of the benchmark's own, and what programs need to find them. */
export async function benchServers(name: string, nodes: 1 | 3) {
  const dir = mkdtempSync(join(tmpdir(), `bench-${name}-`))
  const reaper = startReaper(dir)
  /** where further servers belong, so that they end with this process, too */
  const at = { dir, onStart: reaper.watch, longLived: true }
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
      reaper.dismiss()
    },
  }
}
