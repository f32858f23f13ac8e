import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs'
import type { Config } from '../config.ts'
import { topicPlan } from '../topics.ts'
import type { ClusterView } from './client.ts'

/**
 * Who may do what in a cluster with an authorizer: the least that each program needs, under the user of its own name.
 * Nobody makes or deletes topics but the administrator who runs `bun run topics`.
 */
export interface Grant {
  user: 'producer' | 'consumer' | 'monitor'
  kind: 'topic' | 'group'
  name: string
  may: 'READ' | 'WRITE' | 'DESCRIBE'
}

export function grantsOf(config: Config): Grant[] {
  const names = topicPlan(config).map((t) => t.topic)
  const sources = names.filter((name) => names.includes(`${name}.dlt`))
  const outputs = names.filter((name) => !sources.includes(name))
  const topics = (user: Grant['user'], may: Grant['may'], list: readonly string[]): Grant[] =>
    list.map((name) => ({ user, kind: 'topic', name, may }))
  const group = (user: Grant['user'], may: Grant['may']): Grant => ({
    user,
    kind: 'group',
    name: config.CONSUMER_GROUP,
    may,
  })
  return [
    ...topics('producer', 'WRITE', sources),
    ...topics('consumer', 'READ', sources),
    ...topics('consumer', 'WRITE', outputs),
    group('consumer', 'READ'),
    ...topics('monitor', 'DESCRIBE', names),
    group('monitor', 'DESCRIBE'),
  ]
}

/** Adds them to those that are there; a second time changes nothing. Needs a user who may alter the cluster. */
export async function grant(view: ClusterView, grants: readonly Grant[]): Promise<void> {
  await view.ask('grant rights', (admin) =>
    admin.createAcls({
      acl: grants.map((g) => ({
        resourceType: g.kind === 'topic' ? AclResourceTypes.TOPIC : AclResourceTypes.GROUP,
        resourceName: g.name,
        resourcePatternType: ResourcePatternTypes.LITERAL,
        principal: `User:${g.user}`,
        host: '*',
        operation: AclOperationTypes[g.may],
        permissionType: AclPermissionTypes.ALLOW,
      })),
    }),
  )
}
