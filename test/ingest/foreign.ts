import { parseConfig } from '../../lib/config.ts'
import { topicPlan } from '../../lib/topics.ts'
import { database, freshTopic, kafka } from '../stack.ts'

/** A topic of one partition, made as the product makes it, and a consumer's surroundings: producers that are not ours send to it. */
export async function foreignTopic() {
  const { brokers } = await kafka()
  const { url } = await database()
  const topic = await freshTopic(1, topicPlan(parseConfig({}))[0]?.config)
  const env: Record<string, string> = {
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: url,
    SENSOR_TOPIC: topic,
    ALERT_TOPIC: await freshTopic(1),
    CONSUMER_GROUP: topic,
  }
  return { brokers, url, topic, env }
}

/** What such a producer would send. */
export function foreignReading(sensor: string, value: number, metadata?: object): string {
  return JSON.stringify({
    timestamp: new Date().toISOString(),
    sensor_id: sensor,
    sensor_type: 'temperature',
    location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
    value,
    unit: '°C',
    metadata,
  })
}
