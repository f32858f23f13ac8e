import { join } from 'node:path'
import { pythonWith } from '../python.ts'

/** What its own Avro serializer needs, pinned. */
const PACKAGES = ['confluent-kafka==2.6.1', 'avro==1.12.2', 'fastavro==1.13.1', 'requests==2.34.2']

/** The Python that has the official client; a sentence where it can't be had on this machine. */
export async function officialClient(): Promise<{ python: string } | { reason: string }> {
  const made = await pythonWith('confluent-kafka-2.6.1', PACKAGES)
  return 'reason' in made ? made : { python: join(made.bin, 'python') }
}
