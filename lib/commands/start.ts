import { bringUp } from '../local/bring-up.ts'
import { askDown, askStatus, hold } from '../local/control.ts'
import { LAYERS } from '../local/part.ts'
import { monitorUrl, stateDir } from '../local/plan.ts'
import { livingRecords } from '../local/record.ts'
import { stackConfig } from '../local/servers.ts'
import { createStages, type Stages } from '../local/stage.ts'
import { EXIT, Stop } from '../run.ts'
import { removeState } from '../local/state.ts'
import { command } from './command.ts'

const HELP = `bun start: brings up everything on this machine, without Docker: three Kafka nodes, PostgreSQL, the schema, the topics,
the plant, three consumers and the monitor; for fleet iot a schema registry too. Ctrl-C drains and stops it all.

  --fleet factory|soda|iot|all   who measures (default factory)
  --sinks                        also OpenSearch and s3proxy, each with its sink (sink-elasticsearch, sink-s3)
  --detach                       go back to the prompt and leave it running (bun run stop ends it)
  --fresh                        delete all data of an earlier run first
  --help                         this text

A second start finds the first. PORT_OFFSET=10000 moves every port. Data, logs and pid files: .factory/ (STATE_DIR).
exit 0 stopped, or already running · 1 a part does not start, a port is taken · 69 Java, Maven or a named server is missing · 78 configuration`

await command({
  help: HELP,
  options: {
    fleet: { type: 'string' },
    sinks: { type: 'boolean' },
    detach: { type: 'boolean' },
    fresh: { type: 'boolean' },
  },
  async main(values, _words, signal) {
    const overrides: Record<string, string> = {}
    if (typeof values.fleet === 'string') overrides.FLEET = values.fleet
    if (values.sinks) overrides.SINKS = 'on'
    return start({ overrides, detach: values.detach === true, fresh: values.fresh === true }, signal)
  },
})

interface Wanted {
  overrides: Record<string, string>
  detach: boolean
  fresh: boolean
}

async function start(wanted: Wanted, signal: AbortSignal): Promise<number> {
  const stages = createStages()
  const started = performance.now()
  const { config, status } = await stackConfig(wanted.overrides)
  const dir = stateDir(config)
  if (status && wanted.fresh) {
    throw new Stop('Cannot start afresh: a stack runs on this data: bun run stop first', EXIT.fault)
  }
  if (status && status.fleet !== config.FLEET) {
    throw new Stop(
      `Cannot start fleet ${config.FLEET}: fleet ${status.fleet} runs here: bun run stop first`,
      EXIT.fault,
    )
  }
  if (wanted.fresh) await removeState(dir)

  const up = (onSupervisor?: () => void) => bringUp(config, [...LAYERS], { stages, signal, onSupervisor })
  const holds = !wanted.detach && !status?.held
  const over = new AbortController()
  let held = Promise.resolve()
  try {
    const names = await up(() => {
      if (holds) held = stayHeld(dir, over.signal, up, stages)
    })
    if (names.length === 0) return tellRunning(status?.since ?? Date.now(), monitorUrl(config))
    tellUp(names.length, performance.now() - started, monitorUrl(config), !holds)
  } catch (error) {
    if (!status) await stopAll(dir, stages)
    if (signal.aborted) return EXIT.ok
    throw error
  }
  if (!holds) return EXIT.ok
  await Promise.race([held, aborted(signal)])
  over.abort()
  await stopAll(dir, stages)
  return EXIT.ok
}

/**
 * Holds the stack: it ends with us, even with our kill -9. Returns when somebody stopped it elsewhere; where the
 * supervisor alone was killed, a new one takes the living processes over.
 */
async function stayHeld(
  dir: string,
  over: AbortSignal,
  up: () => Promise<string[]>,
  stages: Stages,
): Promise<void> {
  while (!over.aborted) {
    await hold(dir, over).catch(() => {})
    if (over.aborted || livingRecords(dir).length === 0) return
    stages.note('supervisor', 'was killed; a new one takes over')
    await up()
  }
}

async function stopAll(dir: string, stages: Stages): Promise<void> {
  if (!(await askStatus(dir))) return
  await stages.run(
    'stopping',
    () => askDown(dir, null),
    (names) => `${names.length} processes drained and stopped`,
  )
}

function tellRunning(since: number, url: string): number {
  const at = new Date(since).toISOString().slice(0, 19)
  process.stderr.write(
    `Already running since ${at}Z. bun run status shows it, bun run stop ends it. The page:\n\n    `,
  )
  console.log(url)
  return EXIT.ok
}

function tellUp(count: number, ms: number, url: string, background: boolean): void {
  process.stderr.write(`\n${count} processes up in ${(ms / 1000).toFixed(1)} s. The page:\n\n    `)
  console.log(url)
  process.stderr.write(
    background
      ? '\nIt goes on in the background: bun run status · bun run logs · bun run stop\n'
      : '\nCtrl-C drains and stops everything. In another terminal: bun run status · bun run logs\n',
  )
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
