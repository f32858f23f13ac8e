import { join } from 'node:path'
import { inheritedEnv, ROOT, stateDir } from '../local/plan.ts'
import { stackConfig } from '../local/servers.ts'
import { EXIT } from '../run.ts'
import { command, positiveFlag } from './command.ts'

const HELP = `bun run load: one more producer beside the plant, at a chosen rate, until Ctrl-C.

  --rate N      messages a second (default 1000)
  --fleet NAME  factory or iot (default: the stack's, factory where it runs all)
  --seconds N   end by itself after so long

Its readings are accepted, sent and stored like all others, and bun run verify counts them.
exit 0 ended · 69 Kafka is away and readings wait in its spool · 78 configuration`

await command({
  help: HELP,
  options: { rate: { type: 'string' }, fleet: { type: 'string' }, seconds: { type: 'string' } },
  async main(values, _words, signal) {
    const rate = positiveFlag('rate', values.rate) ?? 1000
    const seconds = positiveFlag('seconds', values.seconds)
    const { config } = await stackConfig()
    const fleet = values.fleet ?? (config.FLEET === 'all' ? 'factory' : config.FLEET)
    const name = fleet === 'factory' ? 'load' : `${String(fleet)}-load`
    const env = {
      ...inheritedEnv(),
      FLEET: String(fleet),
      PRODUCER_ID: name,
      SCHEMA_REGISTRY_URL: config.SCHEMA_REGISTRY_URL,
      STATE_DIR: stateDir(config),
      PORT_OFFSET: String(config.PORT_OFFSET),
      KAFKA_BROKERS: config.KAFKA_BROKERS.join(','),
      DATABASE_URL: config.DATABASE_URL,
    }
    const producer = Bun.spawn([process.execPath, 'run', join(ROOT, 'producer.ts'), '--rate', String(rate)], {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true, // Ctrl-C reaches it through us, once
    })
    process.stderr.write(`${rate} messages/s as producer "${name}"; Ctrl-C ends it\n`)
    const timer =
      seconds === undefined ? undefined : setTimeout(() => producer.kill('SIGTERM'), seconds * 1000)
    signal.addEventListener('abort', () => producer.kill('SIGTERM'), { once: true })
    const code = await producer.exited
    clearTimeout(timer)
    return code === EXIT.tempFail ? EXIT.unavailable : code
  },
})
