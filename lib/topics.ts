import type { Config } from './config.ts'

export interface TopicPlan {
  topic: string
  partitions: number
  /** bytes of the largest record batch; the consumer's fetch size must not be smaller */
  config: Record<string, string>
}

const DAY_MS = 86_400_000

/** Every topic of every fleet (SPEC §5b). Keys decide the partition, so a count is changed only by `topics --partitions` on a drained topic. */
export function topicPlan(config: Config): TopicPlan[] {
  const dataDays = 7 // at least three times the longest planned outage: a gap in the log is a loss
  const plan = (topic: string, partitions: number, retentionDays: number): TopicPlan => ({
    topic,
    partitions,
    config: {
      'min.insync.replicas': String(Math.min(2, config.TOPIC_REPLICATION)),
      'unclean.leader.election.enable': 'false',
      'retention.ms': String(retentionDays * DAY_MS),
      'max.message.bytes': String(1024 * 1024),
      // The broker unpacks what foreign producers compress: kafkajs ends at the first snappy, lz4 or zstd batch.
      'compression.type': 'uncompressed',
      // The broker's clock, not the producer's: retention and "late" must not depend on a clock that may be wrong.
      'message.timestamp.type': 'LogAppendTime',
    },
  })
  const sources = [plan(config.SENSOR_TOPIC, 3, dataDays)]
  const alerts = [plan(config.ALERT_TOPIC, 2, 30)]
  if (config.FLEET === 'soda' || config.FLEET === 'all') {
    sources.push(plan(config.SODA_TOPIC, 3, dataDays), plan(config.SODA_HEARTBEAT_TOPIC, 3, dataDays))
  }
  if (config.FLEET === 'iot' || config.FLEET === 'all') {
    sources.push(plan('sensor.raw', 6, dataDays))
    alerts.push(plan('sensor.alert', 3, 30))
  }
  const deadLetters = sources.map((t) => {
    const letters = plan(`${t.topic}.dlt`, 3, 30)
    // room for the reasons beside the largest message
    return { ...letters, config: { ...letters.config, 'max.message.bytes': String(1280 * 1024) } }
  })
  return [...sources, ...alerts, ...deadLetters]
}
