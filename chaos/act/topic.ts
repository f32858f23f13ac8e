import { parseConfig } from '../../lib/config.ts'
import { clusterOf, clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { createMissing } from '../../lib/kafka/topics.ts'
import { log } from '../../lib/log.ts'
import { run, sleep } from '../../lib/run.ts'
import { topicPlan } from '../../lib/topics.ts'

/** `bun chaos/act/topic.ts`: deletes the topic of the readings and makes it again, empty, as planned. */
await run('topic', async () => {
  const config = parseConfig()
  log.configure({ level: 'ERROR', service: 'chaos' })
  const view = clusterView(kafkaClients({ ...clusterOf(config), clientId: 'chaos' }))
  const plan = topicPlan(config).filter((t) => t.topic === config.SENSOR_TOPIC)
  try {
    await view.ask('delete the topic', (a) => a.deleteTopics({ topics: plan.map((t) => t.topic) }), 30_000)
    for (let tries = 0; tries < 60; tries++) {
      await sleep(500)
      const made = await createMissing(view, plan, config.TOPIC_REPLICATION).catch(() => new Set())
      if (made.size > 0) return
    }
    throw new Error(`Cannot make ${config.SENSOR_TOPIC} again: it was still there 30 s after its deletion`)
  } finally {
    await view.close()
  }
})
