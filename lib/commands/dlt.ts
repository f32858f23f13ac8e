import { readFileSync } from 'node:fs'
import { parseConfig, type Config } from '../config.ts'
import { createDatabase, learnRoles, type Database, type Sql } from '../db/connect.ts'
import {
  countByReason,
  deadLetters,
  firstMarks,
  newestLetter,
  type Choice,
  type DeadLetter,
} from '../ingest/dead-letters.ts'
import { Fault } from '../ingest/decode.ts'
import { decodersOf } from '../ingest/decoders.ts'
import { createAdmittance, createPace, lettersInLog, redrive, type Outcome } from '../ingest/redrive.ts'
import { clusterOf, clusterView, kafkaClients } from '../kafka/client.ts'
import { createPublisher } from '../kafka/publish.ts'
import { stackConfig } from '../local/servers.ts'
import { EXIT, Stop } from '../run.ts'
import { command, positiveFlag } from './command.ts'
import { sinkLetters, type SinkRequest } from './dlt-sink.ts'

const HELP = `bun run dlt list | show ID… | redrive [ID…]: messages that became no reading, and their way back.

  list        how many of each topic and reason, and the newest of each
  show        one whole: from where, why, headers, value as text and as hex
  redrive     back to their topic and partition, as they came: under its own number a message is stored once, however
              often it is sent; one without a number is sent once (--again: once more, where the log has it not)

  --reason R, --topic T   only these (list, redrive); redrive takes these, numbers, or --all
  --dry-run               says what would be sent
  --rate N                at most so many a second
  --sink NAME             those of elasticsearch or s3 instead, by TOPIC/PARTITION/OFFSET; redrive writes what the store
                          has refused into it once more, from the log
  --set NAME=VALUE        (JSON topics) sends it with this field changed; may be given several times
  --value-file FILE       sends one letter with this value instead
  --json                  as JSON

A corrected message is not what its producer accepted: it is sent without the number, and its letter stays.

exit 0 done · 1 something could not be sent · 2 usage · 69 Kafka or PostgreSQL is down · 78 configuration`

type Values = Parameters<Parameters<typeof command>[0]['main']>[0]

const PAGE = 200
const SHOWN_BYTES = 4096
const MAX_ID = Number.MAX_SAFE_INTEGER

await command({
  help: HELP,
  words: 1000,
  options: {
    reason: { type: 'string' },
    topic: { type: 'string' },
    sink: { type: 'string' },
    all: { type: 'boolean' },
    'dry-run': { type: 'boolean' },
    again: { type: 'boolean' },
    rate: { type: 'string' },
    set: { type: 'string', multiple: true },
    'value-file': { type: 'string' },
    json: { type: 'boolean' },
  },
  async main(values, words, signal) {
    const [act, ...rest] = words
    if (!['list', 'show', 'redrive'].includes(act ?? ''))
      throw usage(`list, show or redrive: got "${act ?? ''}"`)
    const ids = values.sink === undefined ? rest.map(toId) : []
    const { config } = await stackConfig()
    await learnRoles(config.DATABASE_URL)
    const database = createDatabase(config.DATABASE_URL, { name: 'dlt', role: 'consumer', max: 2 })
    const { sql } = database
    try {
      if (values.sink !== undefined)
        return await sinkLetters(config, sql, requestOf(act, rest, values), signal)
      if (act === 'list') return await list(sql, values)
      if (act === 'show') return await show(sql, ids, values.json === true)
      return await send(config, database, ids, values, signal)
    } catch (error) {
      if (error instanceof Stop) throw error
      throw new Stop(`Cannot ${act}: ${(error as Error).message}`, EXIT.unavailable, { cause: error })
    } finally {
      await database.close()
    }
  },
})

function usage(what: string): Stop {
  return new Stop(`Cannot read the arguments: must be ${what}: see --help`, EXIT.usage)
}

function toId(word: string): number {
  if (!/^\d{1,15}$/.test(word)) throw usage(`the number of a dead letter: got "${word}"`)
  return Number(word)
}

function requestOf(act: string | undefined, places: readonly string[], values: Values): SinkRequest {
  return {
    act: act === 'list' || act === 'show' ? act : 'redrive',
    places,
    sink: textOf(values.sink) ?? '',
    reason: textOf(values.reason),
    topic: textOf(values.topic),
    rate: textOf(values.rate),
    all: values.all === true,
    dryRun: values['dry-run'] === true,
    json: values.json === true,
  }
}

function textOf(value: Values[string]): string | undefined {
  return typeof value === 'string' ? value : undefined
}

async function list(sql: Sql, values: Values): Promise<number> {
  const counts = await countByReason(sql, { reason: textOf(values.reason), topic: textOf(values.topic) })
  if (values.json) {
    console.log(JSON.stringify({ dead_letters: counts }, null, 2))
    return EXIT.ok
  }
  for (const c of counts) {
    const sent = c.redriven > 0 ? `, ${c.redriven} sent again` : ''
    console.log(
      `${c.topic}  ${c.reason}  ${c.count}${sent}  newest ${c.newest_id} of ${c.newest.toISOString()}: ${c.example}`,
    )
  }
  if (counts.length === 0) process.stderr.write('there is none\n')
  return EXIT.ok
}

async function show(sql: Sql, ids: number[], json: boolean): Promise<number> {
  if (ids.length === 0) throw usage('show ID')
  const letters = await deadLetters(sql, { ids }, { afterId: 0, untilId: MAX_ID, limit: ids.length })
  if (json) console.log(JSON.stringify(letters.map(asJson), null, 2))
  else for (const letter of letters) console.log(asText(letter))
  if (letters.length === new Set(ids).size) return EXIT.ok
  throw missing('show', ids, new Set(letters.map((l) => l.id)))
}

function missing(act: string, ids: readonly number[], found: ReadonlySet<number>): Stop {
  const gone = ids.filter((id) => !found.has(id))
  return new Stop(
    `Cannot ${act} ${gone.join(', ')}: there is no such dead letter: see bun run dlt list`,
    EXIT.fault,
  )
}

function asJson({ key, value, ...rest }: DeadLetter) {
  const both = (bytes: Buffer | null) => bytes && { text: bytes.toString('utf8'), hex: bytes.toString('hex') }
  return { ...rest, key: both(key), value: both(value) }
}

function asText(l: DeadLetter): string {
  const from =
    l.partition === null ? `${l.topic}, which it never reached` : `${l.topic}-${l.partition} at ${l.offset}`
  const who =
    l.runId === null ? 'no number of its own' : `${l.sensorId ?? '?'} number ${l.seq} of run ${l.runId}`
  const headers = Object.entries(l.headers).map(
    ([name, value]) =>
      `    ${printable(`${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)}`,
  )
  const cut = (l.value?.length ?? 0) < l.valueBytes ? `, of which ${l.value?.length} are kept` : ''
  const shown = l.value?.subarray(0, SHOWN_BYTES)
  return [
    `dead letter ${l.id}  ${l.reason}: ${l.message}`,
    `  from     ${from}, recorded ${l.recordedAt.toISOString()}`,
    `  who      ${who}`,
    `  again    ${l.redrivenAt ? `sent ${l.redrivenAt.toISOString()}` : 'not sent'}`,
    `  key      ${l.key === null ? 'none' : printable(l.key.toString('utf8'))}`,
    `  headers  ${headers.length === 0 ? 'none' : ''}`.trimEnd(),
    ...headers,
    `  value    ${l.value === null ? 'none' : `${l.valueBytes} bytes${cut}`}`,
    ...(shown ? [`    ${printable(shown.toString('utf8'))}`, ...hexLines(shown)] : []),
  ].join('\n')
}

/** Broken messages hold anything: nothing of it may steer the terminal. */
function printable(text: string): string {
  return text.toWellFormed().replace(/[\u0000-\u001f\u007f-\u009f]/g, '\u00b7')
}

function hexLines(bytes: Buffer): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    const part = bytes.subarray(at, at + 16)
    const pairs = (part.toString('hex').match(/../g) ?? []).join(' ')
    lines.push(
      `    ${at.toString(16).padStart(6, '0')}  ${pairs.padEnd(47)}  ${printable(part.toString('latin1'))}`,
    )
  }
  return lines
}

async function send(
  config: Config,
  database: Database,
  ids: number[],
  values: Values,
  signal: AbortSignal,
): Promise<number> {
  const { sql } = database
  const choice: Choice = {
    ids: ids.length > 0 ? ids : undefined,
    reason: textOf(values.reason),
    topic: textOf(values.topic),
  }
  const isChosen = choice.ids !== undefined || choice.reason !== undefined || choice.topic !== undefined
  if (!isChosen && !values.all) throw usage('numbers, --reason, --topic or --all')
  if (values['value-file'] !== undefined && ids.length !== 1) throw usage('one number with --value-file')
  const correct = correction(values)
  const clients = kafkaClients({ ...clusterOf(config), clientId: 'dlt' })
  const view = clusterView(clients)
  const publisher = createPublisher(clients)
  const pace = createPace(positiveFlag('rate', values.rate) ?? null, () => performance.now())
  const counts = new Map<Outcome, number>()
  const found = new Set<number>()
  try {
    // what is sent now and becomes a dead letter once more is not for this call
    const untilId = await newestLetter(sql)
    const options = {
      ...{ sql, clients, publisher, correct },
      admit: await createAdmittance(database, config.MAX_SENSORS),
      decoders: decodersOf({ ...parseConfig(), ...config, FLEET: 'all' }),
      dryRun: values['dry-run'] === true,
      inLog: values.again === true ? await lettersInLog(clients, view, await firstMarks(sql, choice)) : null,
    }
    for (let afterId = 0; !signal.aborted;) {
      const letters = await deadLetters(sql, choice, { afterId, untilId, limit: PAGE })
      for (const letter of letters) {
        if (signal.aborted) break
        if (!options.dryRun) await pace(signal)
        const { outcome, why } = await redrive(options, letter)
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
        if (values.json) console.log(JSON.stringify({ id: letter.id, outcome, why }))
        else console.log(`${letter.id}  ${outcome}: ${why}`)
        afterId = letter.id
        found.add(letter.id)
      }
      if (letters.length < PAGE) break
    }
  } finally {
    await publisher.close()
    await view.close()
  }
  const sums = [...counts].map(([outcome, count]) => `${count} ${outcome}`)
  process.stderr.write(`${sums.join(', ') || 'there is none'}\n`)
  if (!signal.aborted && ids.some((id) => !found.has(id))) throw missing('send', ids, found)
  const failed = (counts.get('still broken') ?? 0) + (counts.get('incomplete') ?? 0)
  return failed > 0 ? EXIT.fault : EXIT.ok
}

/** What --set or --value-file make of a value; null where neither is given. */
function correction(values: Values): ((value: Buffer | null) => Buffer | Fault) | null {
  const file = values['value-file']
  if (typeof file === 'string') {
    const value = bytesOf(file)
    return () => value
  }
  if (!Array.isArray(values.set)) return null
  const changes = values.set.map((change) => {
    const at = String(change).indexOf('=')
    if (at < 1) throw usage(`--set NAME=VALUE: got "${String(change)}"`)
    return { path: String(change).slice(0, at).split('.'), value: literal(String(change).slice(at + 1)) }
  })
  return (value) => {
    const message = parsed(value)
    if (message instanceof Fault) return message
    for (const change of changes) assign(message, change.path, change.value)
    return Buffer.from(JSON.stringify(message))
  }
}

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw usage(
      `a file that can be read after --value-file (${(cause as NodeJS.ErrnoException).code}): got "${file}"`,
    )
  }
}

function parsed(value: Buffer | null): Record<string, unknown> | Fault {
  try {
    const message: unknown = JSON.parse(value?.toString('utf8') ?? '')
    if (typeof message === 'object' && message !== null) return message as Record<string, unknown>
  } catch {
    // said below
  }
  return new Fault(
    'decode',
    'has no field to set, for it is no JSON object: give the whole with --value-file',
  )
}

function assign(target: Record<string, unknown>, [name = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    target[name] = value
    return
  }
  const inner = target[name]
  const next = typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {}
  target[name] = next
  assign(next, rest, value)
}

/** 21.5 is a number, true is true, everything else is the text itself. */
function literal(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
