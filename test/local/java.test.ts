import { expect, test } from 'bun:test'
import { javaMajor } from '../../lib/local/java.ts'
import { downloadedBytes } from '../../lib/local/maven.ts'
import { kafkaNodes, serverProperties } from '../../lib/local/kafka.ts'

test.each([
  ['openjdk version "17.0.15" 2025-04-15', 17],
  ['openjdk version "21" 2023-09-19', 21],
  ['java version "1.8.0_392"', 8],
  ['sh: java: not found', null],
])('javaMajor(%j) is %p', (text, major) => expect(javaMajor(text)).toBe(major))

test.each([
  ['Downloaded from central: https://host/kafka_2.13-4.3.1.jar (6.1 MB at 12 MB/s)', 6_100_000],
  ['[INFO] Downloaded from central: https://host/a.pom (512 B at 9 kB/s)', 512],
  ['[INFO] Copying kafka_2.13-4.3.1.jar to /x', 0],
])('downloadedBytes(%j) is %p', (line, bytes) => expect(downloadedBytes(line)).toBe(bytes))

test('serverProperties() keeps what durability stands on', () => {
  const nodes = kafkaNodes(100)
  const lines = serverProperties(nodes[1]!, nodes, '/data').split('\n')
  for (const line of [
    'listeners=PLAINTEXT://127.0.0.1:9194,CONTROLLER://127.0.0.1:9195',
    'advertised.listeners=PLAINTEXT://localhost:9194',
    'controller.quorum.voters=1@127.0.0.1:9193,2@127.0.0.1:9195,3@127.0.0.1:9197',
    'auto.create.topics.enable=false',
    'default.replication.factor=3',
    'min.insync.replicas=2',
    'unclean.leader.election.enable=false',
    'offsets.topic.replication.factor=3',
  ]) {
    expect(lines).toContain(line)
  }
})
