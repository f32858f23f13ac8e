import { parseConfig } from '../config.ts'
import { clusterOf, clusterView, kafkaClients } from '../kafka/client.ts'
import { roundTrip } from '../kafka/roundtrip.ts'
import { verifyTopics, waitForBrokers } from '../kafka/topics.ts'
import { log } from '../log.ts'
import { EXIT, flagsOf, run } from '../run.ts'
import { topicPlan } from '../topics.ts'

const HELP = `bun run test-topics: can every topic be written and read? Looks at leaders, copies and offsets of each topic,
and sends one message a partition through a topic of its own, which it deletes again. Readings are never touched.

  --json   the report as JSON
  --help   this text

exit 0 all is well · 1 a topic is missing or differs, copies are behind, or a message did not come back · 2 usage
69 Kafka is not there · 78 configuration`

const flags = flagsOf(HELP, { json: { type: 'boolean' } })

await run('test-topics', async (signal) => {
  const config = parseConfig()
  log.configure({ level: config.LOG_LEVEL, service: 'test-topics', file: config.LOG_FILE ?? null })
  const replication = config.TOPIC_REPLICATION
  const clients = kafkaClients({ ...clusterOf(config), clientId: 'test-topics' })
  const view = clusterView(clients)
  try {
    await waitForBrokers(view, 1, 10_000, signal)
    const existing = await view.ask('list the topics', (a) => a.listTopics())
    const plan = topicPlan(config)
    const known = plan.filter((t) => existing.includes(t.topic))
    const reports = known.length > 0 ? await verifyTopics(view, known, replication) : []
    const checks = plan
      .filter((t) => !existing.includes(t.topic))
      .map((t) => ({ topic: t.topic, messages: 0, faults: ['it does not exist: run bun run topics'] }))
    for (const r of reports) {
      const offsets = await view.offsets(r.topic)
      const behind = r.underReplicated.map((p) => `partition ${p}: a copy is behind or away`)
      const messages = offsets.reduce((sum, o) => sum + o.high - o.low, 0)
      checks.push({ topic: r.topic, messages, faults: [...r.faults, ...behind] })
    }
    const trip = await roundTrip(clients, 3, replication).then(
      (ms) => ({ ms: Math.round(ms), fault: null }),
      (error: Error) => ({ ms: null, fault: error.message }),
    )
    if (flags.json) console.log(JSON.stringify({ topics: checks, round_trip: trip }, null, 2))
    else {
      for (const c of checks) {
        const verdict = c.faults.length > 0 ? c.faults.join('; ') : 'ok'
        console.log(`${c.topic.padEnd(22)} ${String(c.messages).padStart(10)} messages · ${verdict}`)
      }
      console.log(`${'send and read back'.padEnd(22)} ${trip.fault ?? `${trip.ms} ms for 3 messages`}`)
    }
    const ok = trip.fault === null && checks.every((c) => c.faults.length === 0)
    return ok ? EXIT.ok : EXIT.fault
  } finally {
    await view.close()
  }
})
