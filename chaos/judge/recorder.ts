import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { Answer, ProcessSample } from './evidence.ts'
import { openLedger } from './ledger.ts'
import { createSpoolReader } from './spools.ts'
import { openDatabase, readPositions } from './tables.ts'

export interface Watched {
  ledger: string
  database: string
  spools: string
  /** address of the monitor; null: there is none */
  monitor: string | null
  /** processes to watch belong to this folder, or speak to this database */
  root: string
}

export interface Recorder {
  /** one last look at everything, then no more */
  stop(): Promise<void>
}

const SPOOLS_MS = 1000
const POSITIONS_MS = 500
const ANSWERS_MS = 500
const PROCESSES_MS = 5000
const ANSWER_MS = 5000
const PATHS = [
  '/api/system-status',
  '/api/consumer-health',
  '/api/partition-assignment',
  '/api/real-time-metrics',
]

/** Watches a run from outside and writes it into the ledger. What does not answer is written down as such, or tried again. */
export function startRecorder(watched: Watched): Recorder {
  const ledger = openLedger(watched.ledger)
  const spools = createSpoolReader(watched.spools)
  const sql = openDatabase(watched.database)
  const stop = new AbortController()
  let path = 0

  const accepted = () => {
    const hex = spools.news().map((a) => ({ ...a, prints: a.prints.map((p) => p.toString(16)) }))
    ledger.append('accepted', hex)
  }
  const positions = async () => {
    const at = Date.now()
    const rows = await readPositions(sql).catch(() => []) // the database may be struck
    ledger.append(
      'positions',
      rows.map((row) => ({ at, ...row })),
    )
  }
  const answers = async () => {
    const which = PATHS[path++ % PATHS.length] ?? ''
    if (watched.monitor) ledger.append('answers', [await answerOf(watched.monitor, which)])
  }
  const processes = () => ledger.append('processes', processesOf(watched))

  const loops = [
    every(SPOOLS_MS, accepted),
    every(POSITIONS_MS, positions),
    every(ANSWERS_MS, answers),
    every(PROCESSES_MS, processes),
  ]

  async function every(ms: number, look: () => void | Promise<void>): Promise<void> {
    while (!stop.signal.aborted) {
      await look()
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        stop.signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
      })
    }
  }

  return {
    async stop() {
      if (stop.signal.aborted) return
      stop.abort()
      await Promise.all(loops)
      accepted()
      const given = spools.exceptions().map((a) => ({ ...a, prints: a.prints.map(() => '0') }))
      ledger.append('accepted', given)
      await positions()
      processes()
      await sql.end({ timeout: 2 })
    },
  }
}

async function answerOf(monitor: string, path: string): Promise<Answer> {
  const at = Date.now()
  const empty = { at, path, status: 0, ages: {}, consumers: [] }
  try {
    const response = await fetch(`${monitor}${path}`, { signal: AbortSignal.timeout(ANSWER_MS) })
    const body = (await response.json().catch(() => ({}))) as Record<string, unknown>
    const list = Array.isArray(body.consumers) ? (body.consumers as Record<string, unknown>[]) : []
    return {
      ...empty,
      ms: Date.now() - at,
      status: response.status,
      ages: agesOf(body),
      consumers: list.map((c) => ({ id: String(c.consumer_id), status: String(c.status) })),
    }
  } catch {
    return { ...empty, ms: Date.now() - at }
  }
}

function agesOf(body: Record<string, unknown>): Record<string, number> {
  const sections = { answer: body, ...(body.sections as Record<string, unknown> | undefined) }
  const now = Date.parse(String(body.at))
  return Object.fromEntries(
    Object.entries(sections).flatMap(([name, section]) => {
      const { status, as_of } = section as Record<string, unknown>
      return status === 'ok' && typeof as_of === 'string' ? [[name, (now - Date.parse(as_of)) / 1000]] : []
    }),
  )
}

/** Our three programs among the processes of this machine, by what the system says of them. */
function processesOf({ root, database }: Watched): ProcessSample[] {
  const at = Date.now()
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
        const program = argv.find((word) => /(^|\/)(producer|consumer|monitor)\.ts$/.test(word))
        // Installed by npm, Bun is called bun.exe on every system.
        // `bun run FILE` may be a parent of its own; the one that works has the file open as its only child or is alone
        if (program === undefined || !/(^|\/)bun(-[\w.]+)?(\.exe)?$/.test(argv[0] ?? '')) return []
        const env = new Map(
          readFileSync(`/proc/${pid}/environ`, 'utf8')
            .split('\0')
            .map((pair) => pair.split(/=(.*)/s, 2) as [string, string]),
        )
        if (env.get('DATABASE_URL') !== database && readlinkSync(`/proc/${pid}/cwd`) !== root) return []
        const rss = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
        const name = env.get('CONSUMER_ID') ?? env.get('PRODUCER_ID') ?? program.replace(/.*\/|\.ts$/g, '')
        const who = program.endsWith('consumer.ts') ? name : program.replace(/.*\/|\.ts$/g, '')
        return [
          {
            at,
            name: who,
            pid: Number(pid),
            rssBytes: rss * 1024,
            fds: readdirSync(`/proc/${pid}/fd`).length,
          },
        ]
      } catch {
        return [] // it has just ended, or it is somebody else's
      }
    })
}
