import { chmodSync, copyFileSync, existsSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { parseConfig } from '../config.ts'
import { log } from '../log.ts'
import { EXIT, run, sleep, Stop } from '../run.ts'
import { socketPath, type StackStatus, type Wish } from './control.ts'
import { claimLock, releaseLock } from './lock.ts'
import { monitorUrl, planParts, stateDir } from './plan.ts'
import { createSupervisor } from './supervisor.ts'

/**
 * The supervisor as a process: keeps parts running and answers `control.ts`. It ends when it is asked to stop
 * everything, by request, by signal, or because the terminal that held it has gone.
 */
const ROTATE_BYTES = 20 * 1024 * 1024
const ROTATE_EVERY_MS = 30_000
const BEAT_MS = 5000

await run('supervisor', async (signal) => {
  let config = parseConfig()
  const dir = stateDir(config)
  log.configure({ service: 'supervisor' })
  if (!claimLock(dir))
    throw new Stop(`Cannot start a second supervisor in ${dir}: one is running`, EXIT.fault)
  const supervisor = createSupervisor(dir)
  const since = Date.now()
  const over = new AbortController()
  let holders = 0

  const stopAll = async () => {
    const names = await supervisor.down(() => true)
    over.abort()
    return names
  }
  const status = (): StackStatus => ({
    pid: process.pid,
    since,
    held: holders > 0,
    fleet: config.FLEET,
    brokers: config.KAFKA_BROKERS,
    databaseUrl: config.DATABASE_URL,
    monitoringPort: config.MONITORING_PORT,
    dashboard: monitorUrl(config),
    portOffset: config.PORT_OFFSET,
    parts: supervisor.status(),
  })

  const unix = socketPath(dir)
  rmSync(unix, { force: true }) // a dead supervisor's: the lock says that none is alive
  const server = Bun.serve({
    unix,
    routes: {
      '/status': () => Response.json(status()),
      '/up': {
        POST: async (request) => {
          const wish = (await request.json()) as Wish
          config = parseConfig(wish.env)
          for (const part of await planParts(config, wish.names, wish.env)) supervisor.up(part)
          return Response.json(status())
        },
      },
      '/down': {
        POST: async (request, bun) => {
          bun.timeout(request, 0) // a stop takes as long as it takes
          const { names } = (await request.json()) as { names: string[] | null }
          if (names === null) return Response.json(await stopAll())
          return Response.json(await supervisor.down((part) => names.includes(part.name)))
        },
      },
      '/hold': (request, bun) => {
        bun.timeout(request, 0)
        holders++
        return held(AbortSignal.any([request.signal, over.signal]), () => {
          holders--
          if (holders === 0 && !over.signal.aborted) {
            log.warn('supervisor.let_go', { meaning: 'the terminal that held the stack has gone' })
            void stopAll()
          }
        })
      },
    },
    error: (error) => refusal(error),
  })
  chmodSync(unix, 0o600)
  log.info('supervisor.listening', { socket: unix })

  signal.addEventListener('abort', () => void stopAll(), { once: true })
  while (!over.signal.aborted) {
    rotateLogs(join(dir, 'logs'))
    await sleep(ROTATE_EVERY_MS, over.signal)
  }
  await server.stop(false)
  rmSync(unix, { force: true })
  releaseLock(dir)
})

function refusal(error: unknown): Response {
  const code = error instanceof Stop ? error.exitCode : EXIT.fault
  const message = error instanceof Error ? error.message : String(error)
  return new Response(message, { status: 500, headers: { 'exit-code': String(code) } })
}

/** A response that lasts as long as its reader, or until all is over: the server ends when its last answer has. */
function held(end: AbortSignal, onGone: () => void): Response {
  let beat: Timer | undefined
  let open = true
  const gone = () => {
    if (!open) return
    open = false
    clearInterval(beat)
    onGone()
  }
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue('held\n')
      beat = setInterval(() => controller.enqueue('.\n'), BEAT_MS)
      const close = () => {
        if (open) controller.close()
        gone()
      }
      if (end.aborted) close()
      else end.addEventListener('abort', close, { once: true })
    },
    cancel: gone,
  })
  return new Response(body)
}

/** The processes write into their files themselves, so a long file is copied and cut (they append: no gap follows). */
function rotateLogs(dir: string): void {
  if (!existsSync(dir)) return
  for (const name of readdirSync(dir).filter((file) => file.endsWith('.log'))) {
    const file = join(dir, name)
    if (statSync(file).size < ROTATE_BYTES) continue
    copyFileSync(file, `${file}.1`)
    truncateSync(file)
  }
}
