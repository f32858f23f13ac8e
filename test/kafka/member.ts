import { kafkaClients } from '../../lib/kafka/client.ts'
import { createGroup, type Rebalance } from '../../lib/kafka/group.ts'
import type { PartitionOwner } from '../../lib/kafka/owner.ts'

/** A member of a group that reads nothing. As a program (`bun member.ts BROKERS TOPIC GROUP`) it prints its member id once it is in. */
export function joinGroup(
  brokers: string[],
  topic: string,
  groupId: string,
  name: string,
  onRebalance: (event: Rebalance) => void,
  owner: Partial<PartitionOwner> = {},
) {
  const group = createGroup({
    clients: kafkaClients({ brokers, clientId: name }),
    groupId,
    topics: [topic],
    takesPlaceOf: name,
    owner: {
      claim: async (_topic, _partition, range) => range.high,
      take: async () => 0,
      pass: () => {},
      isBacklogged: () => false,
      drained: async () => {},
      release: () => {},
      isFinal: () => false,
      ...owner,
    },
    onRebalance,
    onDead: (reason) => {
      throw new Error(reason)
    },
  })
  return group
}

if (import.meta.main) {
  const [brokers = '', topic = '', groupId = ''] = process.argv.slice(2)
  await joinGroup(brokers.split(','), topic, groupId, 'member', (event) => {
    if (event.type === 'rebalance_complete') console.log(event.memberId)
  }).start()
}
