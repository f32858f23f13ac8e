import type { Config } from '../config.ts'
import { log } from '../log.ts'
import { clusterOf, kafkaClients } from '../kafka/client.ts'
import { startSender, type Sender } from '../kafka/send.ts'
import { plannedPartition } from '../kafka/partitioner.ts'
import { EXIT, stir } from '../run.ts'
import { openSpool, type Spool } from '../spool/spool.ts'
import { topicPlan } from '../topics.ts'
import { appendTruth, truthFile } from '../fleet/truth.ts'
import type { Choice } from './choice.ts'
import type { ProducerReport, ProducerStatus } from './health.ts'
import { createDisplay } from './display.ts'
import { startReporter } from './reporter.ts'
import type { Episode } from '../fleet/episodes.ts'

/** On SIGTERM: so long for what is still unsent; the rest is safe in the spool. */
const FLUSH_MS = 10_000
const AWAY_FLUSH_MS = 1000 // where Kafka is away, waiting longer changes nothing
/** Partitions of readings are dropped by whole days, and a reading may arrive days after it was accepted. */
const LEDGER_EXTRA_DAYS = 9
/** A finished fleet waits for Kafka so long without one message getting through. */
const NO_PROGRESS_MS = 20_000 // longer than the election of a new leader takes

/**
 * fleet → spool → Kafka, and how it goes → PostgreSQL. States: starting → active (something is accepted) ⇄ blocked (the
 * spool takes no more, or the fleet waits for something) → stopping → stopped (a signal) or finished (the fleet came to its
 * end). Opened in the order of the journey, closed in reverse.
 */
export async function runProducer(
  config: Config,
  choose: (onEpisode: (episode: Episode) => void) => Choice,
  signal: AbortSignal,
): Promise<number> {
  const { fleet, producerId, expectedPerSecond, shown } = choose((episode) => {
    writeTruth(episode)
    reporter.episode(episode)
  })
  const writeTruth = appendTruth(truthFile(config.SPOOL_DIR, producerId))
  const startedAt = new Date()
  let status: ProducerStatus = 'starting'

  const plan = topicPlan({ ...config, FLEET: 'all' }) // whichever fleet a flag chose
  const spool = openSpool({
    directory: config.SPOOL_DIR,
    producerId,
    maxBytes: config.SPOOL_MAX_SIZE,
    whenFull: config.SPOOL_WHEN_FULL,
    ledgerMs: (config.READINGS_RETENTION_DAYS + LEDGER_EXTRA_DAYS) * 86_400_000,
    partitionOf: plannedPartition(config),
    onDropped: (count, topic, partition) => {
      const message = `The spool is full: ${count} of the oldest unsent messages of ${topic}/${partition} were given up (SPOOL_WHEN_FULL=drop-oldest)`
      log.warn('spool.dropped', { count, topic, partition })
      reporter.event({
        event: 'readings_dropped',
        severity: 'error',
        message,
        details: { count, topic, partition },
      })
    },
  })
  const clients = kafkaClients({ ...clusterOf(config), clientId: producerId })
  const sender = startSender({
    spool,
    clients,
    plan,
    onEvent: (event, message, details) => reporter.event({ event, severity: 'error', message, details }),
  })
  const reporter = startReporter({
    databaseUrl: config.DATABASE_URL,
    aliveFile: config.ALIVE_FILE,
    producerId,
    runId: spool.runId,
    clusterId: () => sender.state().clusterId,
    refusals: spool.refusals,
    forgetRefusals: spool.forgetRefusals,
    report: () => ({
      producerId,
      runId: spool.runId,
      fleet: fleet.name,
      sensorType: fleet.sensorType,
      startedAt,
      expectedPerSecond,
      ...stateOf(spool, sender, status, fleet.waitsFor?.() ?? null),
    }),
  })
  log.info('producer.started', { fleet: fleet.name, run_id: spool.runId, ...spooledOf(spool) })

  const display = shown ? createDisplay(shown) : null
  try {
    const past = { memos: spool.memos, unsent: spool.state().spooled }
    for await (const batch of fleet.readings(signal, past)) {
      await orAborted(spool.accept(batch), signal)
      if (signal.aborted) break
      status = 'active'
      display?.take(batch, sender.state().reachable)
      stir()
    }
    display?.end(sender.state().reachable)
    status = 'stopping'
    const stopped = signal.aborted
    const flushMs = sender.state().reachable === false ? AWAY_FLUSH_MS : FLUSH_MS
    const sent = stopped ? await flush(spool, AbortSignal.timeout(flushMs)) : await flushAll(spool, signal)
    status = stopped ? 'stopped' : 'finished'
    const { accepted, dropped, rejected, spooled } = spool.state()
    log.info(`producer.${status}`, { fleet: fleet.name, accepted, dropped, rejected, spooled })
    tellResults(fleet.results?.() ?? [], spooled)
    if (sent || stopped) return EXIT.ok
    log.error('producer.unsent', {
      ...spooledOf(spool),
      message: `Cannot send everything: Kafka is away: ${spooled} messages stay in the spool of ${producerId}; the next start sends them`,
    })
    return EXIT.tempFail
  } catch (error) {
    status = 'failed'
    throw error
  } finally {
    await sender.close()
    await reporter.close(status)
    await spool.close()
  }
}

/** For people, on standard output: what came of a fleet with a target. */
function tellResults([head, ...rest]: string[], unsent: number): void {
  if (head === undefined) return
  console.log(
    `${head}, ${unsent === 0 ? 'all sent' : `${unsent} messages wait in the spool for the next start`}`,
  )
  for (const line of rest) console.log(line)
}

/** True when everything is sent. */
async function flush(spool: Spool, limit: AbortSignal): Promise<boolean> {
  await spool.drained(limit)
  return spool.state().spooled === 0
}

/** The same without a limit, as long as something gets through. */
async function flushAll(spool: Spool, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const before = spool.state().sent
    if (await flush(spool, AbortSignal.any([signal, AbortSignal.timeout(NO_PROGRESS_MS)]))) return true
    if (spool.state().sent === before) return false
  }
  return flush(spool, AbortSignal.timeout(FLUSH_MS))
}

/** A full spool may hold accept up for hours; what it has not accepted when we stop was never accepted. */
function orAborted(accepted: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => resolve()
    signal.addEventListener('abort', stop, { once: true })
    accepted.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

function spooledOf(spool: Spool) {
  const { spooled, spoolBytes, oldestSpooledAtMs } = spool.state()
  return {
    spooled,
    spool_bytes: spoolBytes,
    oldest: oldestSpooledAtMs === null ? null : new Date(oldestSpooledAtMs).toISOString(),
  }
}

function stateOf(
  spool: Spool,
  sender: Sender,
  status: ProducerStatus,
  waitsFor: string | null,
): Omit<
  ProducerReport,
  'producerId' | 'runId' | 'fleet' | 'sensorType' | 'startedAt' | 'perSecond' | 'expectedPerSecond'
> {
  const s = spool.state()
  const k = sender.state()
  const isAtWork = status === 'starting' || status === 'active'
  const blocked = waitsFor ?? s.blocked
  const date = (ms: number | null) => (ms === null ? null : new Date(ms))
  return {
    status: isAtWork && blocked !== null ? 'blocked' : status,
    accepted: s.accepted,
    sent: s.sent,
    dropped: s.dropped,
    rejected: s.rejected,
    spooled: s.spooled,
    spoolBytes: s.spoolBytes,
    oldestSpooledAt: date(s.oldestSpooledAtMs),
    errors: k.errors,
    lastError: blocked ?? k.lastError,
    lastErrorAt: date(blocked === null ? k.lastErrorAtMs : Date.now()),
    kafkaReachable: k.reachable,
  }
}
