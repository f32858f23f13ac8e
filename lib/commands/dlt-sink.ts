import { parseConfig, type Config } from '../config.ts'
import type { Sql } from '../db/connect.ts'
import { decodersOf } from '../ingest/decoders.ts'
import { createPace } from '../ingest/redrive.ts'
import { clusterOf, clusterView, kafkaClients, type KafkaClients } from '../kafka/client.ts'
import { EXIT, Stop } from '../run.ts'
import { bringBack, nameOf, type Outcome } from '../sink/bring-back.ts'
import {
  countSinkLetters,
  sinkDeadLetters,
  type LetterPlace,
  type SinkChoice,
  type SinkDeadLetter,
} from '../sink/dead-letters.ts'
import type { Destination } from '../sink/destination.ts'
import { coldStorageOf, elasticsearchOf, isSink, SINKS } from '../sink/open.ts'
import { positiveFlag } from './command.ts'

/** What `dlt --sink` was asked for. */
export interface SinkRequest {
  act: 'list' | 'show' | 'redrive'
  sink: string
  /** TOPIC/PARTITION/OFFSET each */
  places: readonly string[]
  reason: string | undefined
  topic: string | undefined
  all: boolean
  dryRun: boolean
  rate: string | undefined
  json: boolean
}

const PAGE = 200

/** Dead letters of a sink: how many of each reason, each whole, and the way back of what its store has refused. */
export async function sinkLetters(
  config: Config,
  sql: Sql,
  request: SinkRequest,
  signal: AbortSignal,
): Promise<number> {
  const { act, reason, topic } = request
  const destination = destinationOf(config, request.sink)
  const choice: SinkChoice = { reason, topic }
  if (request.places.length > 0) choice.places = request.places.map(placeOf)
  if (act === 'list') return list(sql, destination.name, choice, request.json)
  if (act === 'show') return show(sql, destination.name, choice, request.json)
  const isChosen = choice.places !== undefined || reason !== undefined || topic !== undefined
  if (!isChosen && !request.all) throw usage('TOPIC/PARTITION/OFFSET, --reason, --topic or --all with --sink')
  return redrive(config, sql, destination, choice, request, signal)
}

async function list(sql: Sql, sink: string, choice: SinkChoice, json: boolean): Promise<number> {
  const counts = await countSinkLetters(sql, sink, choice)
  if (json) {
    console.log(JSON.stringify({ sink, dead_letters: counts }, null, 2))
    return EXIT.ok
  }
  for (const c of counts) {
    const written = c.written > 0 ? `, ${c.written} written since` : ''
    const newest = `newest ${c.newest} of ${c.newest_at.toISOString()}`
    console.log(`${c.topic}  ${c.reason}  ${c.count}${written}  ${newest}: ${c.example}`)
  }
  if (counts.length === 0) process.stderr.write('there is none\n')
  return EXIT.ok
}

async function show(sql: Sql, sink: string, choice: SinkChoice, json: boolean): Promise<number> {
  if (choice.places === undefined) throw usage('show TOPIC/PARTITION/OFFSET with --sink')
  const letters = await sinkDeadLetters(sql, sink, choice, { after: null, limit: PAGE })
  if (json) console.log(JSON.stringify(letters, null, 2))
  else for (const letter of letters) console.log(asText(letter))
  const missing = choice.places.map(nameOf).filter((name) => !letters.some((l) => nameOf(l) === name))
  if (missing.length === 0) return EXIT.ok
  throw new Stop(`Cannot show ${missing.join(', ')}: ${sink} has no such dead letter`, EXIT.fault)
}

async function redrive(
  config: Config,
  sql: Sql,
  destination: Destination,
  choice: SinkChoice,
  { dryRun, rate, json }: SinkRequest,
  signal: AbortSignal,
): Promise<number> {
  const clients = kafkaClients({ ...clusterOf(config), clientId: 'dlt' })
  const clusterId = await clusterIdOf(clients)
  const decoders = decodersOf({ ...parseConfig(), ...config, FLEET: 'all' })
  const options = { sql, clients, clusterId, destination, decoders, dryRun }
  const pace = createPace(positiveFlag('rate', rate) ?? null, () => performance.now())
  const counts = new Map<Outcome, number>()
  for (let after: SinkDeadLetter | null = null; !signal.aborted;) {
    const page: SinkDeadLetter[] = await sinkDeadLetters(sql, destination.name, choice, {
      after,
      limit: PAGE,
    })
    await bringBack(options, page, async (letter, outcome, why) => {
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      if (json) console.log(JSON.stringify({ id: nameOf(letter), outcome, why }))
      else console.log(`${nameOf(letter)}  ${outcome}: ${why}`)
      if (outcome === 'written') await pace(signal)
      return !signal.aborted
    })
    after = page.at(-1) ?? null
    if (page.length < PAGE) break
  }
  const sums = [...counts].map(([outcome, n]) => `${n} ${outcome}`)
  process.stderr.write(`${sums.join(', ') || 'there is none'}\n`)
  const failed = (counts.get('refused again') ?? 0) + (counts.get('gone') ?? 0)
  return failed > 0 ? EXIT.fault : EXIT.ok
}

async function clusterIdOf(clients: KafkaClients): Promise<string> {
  const view = clusterView(clients)
  try {
    return await view.clusterId()
  } finally {
    await view.close()
  }
}

function destinationOf(config: Config, sink: string): Destination {
  if (!isSink(sink)) throw usage(`--sink ${SINKS.join(' or ')}: got "${sink}"`)
  return sink === 'elasticsearch' ? elasticsearchOf(config) : coldStorageOf(config)
}

function placeOf(word: string): LetterPlace {
  const [, topic, partition, offset] = /^([\w.-]+)\/(\d{1,6})\/(\d{1,15})$/.exec(word) ?? []
  if (topic === undefined) throw usage(`TOPIC/PARTITION/OFFSET with --sink: got "${word}"`)
  return { topic, partition: Number(partition), offset: Number(offset) }
}

function asText(l: SinkDeadLetter): string {
  const who =
    l.runId === null ? 'no number of its own' : `${l.sensorId ?? '?'} number ${l.seq} of run ${l.runId}`
  const written = l.writtenAt ? `written ${l.writtenAt.toISOString()}` : 'not written'
  return [
    `dead letter ${nameOf(l)}  ${l.reason}: ${l.message}`,
    `  recorded ${l.recordedAt.toISOString()}${l.isOfThisLog ? '' : ', in a log that is gone'}`,
    `  who      ${who}`,
    `  again    ${written}`,
  ].join('\n')
}

function usage(what: string): Stop {
  return new Stop(`Cannot read the arguments: must be ${what}: see --help`, EXIT.usage)
}
