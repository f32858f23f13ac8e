import { join } from 'node:path'
import { EXIT } from '../lib/run.ts'

/** Each file beside this one is a benchmark: about how long it takes with its defaults. */
const IN_README = {
  detect: '5 s',
  devices: '5 s',
  path: '1 min',
  detection: '15 s',
  producer: '1 min',
  sinks: '2 min',
  iot: '3 min',
  latency: '3 min',
  monitor: '3 min',
  idle: '5 min',
  scale: '8 min',
  peers: '15 min, and more the first time, to build them',
  history: '15 min, and 11 GB of disk',
}
const BY_NAME_ONLY = { checkpoint: '10 s', consumer: '1 min' }
const ALL = { ...IN_README, ...BY_NAME_ONLY }
const HELP = `bun run bench [NAME [options]]: one benchmark; without a name one after the other those whose figures README carries (all
but the last two), about an hour. Each shows a table on standard error, and prints figures, machine and settings as JSON.

${Object.entries(ALL)
  .map(([name, takes]) => `  ${name.padEnd(12)}${takes}`)
  .join('\n')}

bun run bench NAME --help tells more. exit 0 all well · 1 one failed, or Ctrl-C; what is not there for one (69) is no failure`

const [given, ...args] = process.argv.slice(2)
if (given === '--help' || given === 'list') {
  console.log(HELP)
  process.exit(EXIT.ok)
}
if (given !== undefined && !Object.hasOwn(ALL, given)) {
  console.error(`Cannot run the benchmark "${given}": bun run bench list names those that there are`)
  process.exit(EXIT.usage)
}

let child: Bun.Subprocess | undefined
let isStopped = false
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    isStopped = true
    child?.kill(signal)
  })
const failed: string[] = []
for (const name of given === undefined ? Object.keys(IN_README) : [given]) {
  if (given === undefined) console.error(`\n${name}`)
  const argv = [process.execPath, join(import.meta.dir, `${name}.ts`), ...args]
  child = Bun.spawn(argv, { stdio: ['inherit', 'inherit', 'inherit'] })
  const code = await child.exited
  if (given !== undefined) process.exit(code)
  if (isStopped) process.exit(EXIT.fault)
  if (code === EXIT.unavailable) console.error(`${name} is left out`)
  else if (code !== EXIT.ok) failed.push(name)
}
if (failed.length > 0) console.error(`\nFailed: ${failed.join(', ')}`)
process.exit(failed.length > 0 ? EXIT.fault : EXIT.ok)
