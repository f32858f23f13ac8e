import { parseConfig } from '../config.ts'
import { parseDuration } from '../kinds.ts'
import { log } from '../log.ts'
import { EXIT, flagsOf, run, Stop } from '../run.ts'
import { isSink, SINKS } from '../sink/open.ts'
import { faultsIn, verifySink } from '../verify/sinks.ts'
import { verify, type Report } from '../verify/verify.ts'

const HELP = `bun run verify: is every accepted reading stored, exactly once, with the content that was accepted?

Compares the producers' own ledgers (in their spools, which no consumer can write) with the tables, by identity and
content: accepted = stored + dead_lettered + spooled + dropped + retired. Signs of life of production lines are counted
instead of stored, so their numbers are compared. One JSON object on stdout, a sentence on stderr.

  --sink NAME  what is in elasticsearch or s3 instead (default postgres): their documents, the objects of each format
  --wait 60s   how long to wait for what is in Kafka to be stored (default 60s)
  --json       no sentence
  --help       this text

exit 0 nothing lost, duplicated or phantom · 1 something is · 2 usage · 69 Kafka or PostgreSQL is down · 78 configuration`

const values = flagsOf(HELP, {
  sink: { type: 'string', default: 'postgres' },
  wait: { type: 'string', default: '60s' },
  json: { type: 'boolean' },
})
const { sink } = values
if (sink !== 'postgres' && !isSink(sink)) {
  console.error(`Cannot verify: --sink must be postgres, ${SINKS.join(' or ')}: got "${sink}"`)
  process.exit(EXIT.usage)
}
if (!/^\d+(\.\d+)?(ms|s|m|h)?$/.test(values.wait)) {
  console.error(`Cannot verify: --wait must be a duration such as 60s: got "${values.wait}"`)
  process.exit(EXIT.usage)
}

await run('verify', async () => {
  const config = parseConfig()
  log.configure({ level: 'WARN', service: 'verify' })
  const say = (line: string) => void (values.json || console.error(line))
  const waitMs = parseDuration(values.wait)
  const report =
    sink === 'postgres'
      ? await verify(config, waitMs, say)
      : await verifySink(config, sink, waitMs, say).catch((error: unknown) => {
          if (error instanceof Stop) throw error
          throw new Stop(`Cannot verify ${sink}: ${(error as Error).message}`, EXIT.unavailable, {
            cause: error,
          })
        })
  console.log(JSON.stringify(report))
  for (const line of sentences(report)) say(line)
  return faultsIn(report) === 0 ? EXIT.ok : EXIT.fault
})

function sentences(r: Report): string[] {
  const sum = `${r.accepted} accepted = ${r.stored} stored + ${r.dead_lettered} dead-lettered + ${r.spooled} spooled + ${r.dropped} dropped + ${r.retired} retired + ${r.lost} lost`
  const h = r.heartbeats
  const ok = faultsIn(r) === 0
  const verdict = ok
    ? 'Nothing lost, nothing duplicated, no phantom.'
    : `NOT TRUE TO THE LEDGER: lost ${r.lost}, duplicated ${r.duplicated}, phantom ${r.phantom}.`
  const lines = [sum, verdict]
  if (h.accepted > 0)
    lines.push(
      `Signs of life: ${h.accepted} accepted = ${h.counted} counted + ${h.dead_lettered} dead-lettered + ${h.spooled} spooled + ${h.dropped} dropped + ${h.lost} lost`,
    )
  for (const f of r.faults.slice(0, 20)) {
    lines.push(
      `  ${f.sensor_id} of run ${f.run_id}, from number ${f.first_seq}: lost ${f.lost}, duplicated ${f.duplicated}, phantom ${f.phantom}`,
    )
  }
  if (r.behind > 0)
    lines.push(
      `${r.behind} messages in Kafka were not stored within the wait: what is missing may still come; look at the consumers, or give --wait more`,
    )
  if (r.unreadable.length > 0)
    lines.push(`Not readable, each of them a phantom: ${r.unreadable.slice(0, 20).join(', ')}`)
  if (r.unknown_runs.length > 0)
    lines.push(
      `No spool under SPOOL_DIR for run ${r.unknown_runs.join(', ')}: its rows count as phantom; point SPOOL_DIR at it if it was moved`,
    )
  if (r.unidentified.rows > 0)
    lines.push(
      `${r.unidentified.rows} rows of producers without identity, checked against the log (${r.unidentified.unjudged} older than the log)`,
    )
  return lines
}
