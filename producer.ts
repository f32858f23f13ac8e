import { parseConfig } from './lib/config.ts'
import { learnRoles } from './lib/db/connect.ts'
import { log } from './lib/log.ts'
import { metrics } from './lib/metrics.ts'
import { chooseFleet, HELP, parseFlags, printed } from './lib/producer/choice.ts'
import { runProducer } from './lib/producer/producer.ts'
import { EXIT, run } from './lib/run.ts'

await run('producer', async (signal) => {
  const flags = parseFlags(process.argv.slice(2))
  if (flags.help) {
    console.log(HELP)
    return EXIT.ok
  }
  const config = parseConfig()
  log.configure({ level: config.LOG_LEVEL, service: 'producer', file: config.LOG_FILE ?? null })
  if (flags.print !== undefined) {
    for (const line of printed(flags, config)) process.stdout.write(line + '\n')
    return EXIT.ok
  }
  metrics.serve(config.METRICS_HOST, config.METRICS_PORT)
  await learnRoles(config.DATABASE_URL)
  return runProducer(config, (onEpisode) => chooseFleet(flags, config, onEpisode), signal)
})
