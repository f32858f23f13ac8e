import { z } from 'zod'
import { rebaselineMachine } from '../../alarm/rebaseline.ts'
import type { Sql } from '../../db/connect.ts'
import * as answers from '../answers/machines.ts'
import { nameParameter, plainText } from '../cursor.ts'
import { endpoint, type AnyEndpoint } from '../endpoint.ts'
import { Problem } from '../problem.ts'
import { listMachines } from '../questions/machines.ts'
import type { Recall } from '../recall.ts'
import { actorOf } from '../who/identity.ts'
import type { Write } from '../write.ts'

export interface MachineOptions {
  sql: () => Sql
  recall: Recall
  write: Write
  alertTopic: string
}

export function machineEndpoints({ sql, recall, write, alertTopic }: MachineOptions): AnyEndpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/api/machines',
      tag: 'machines',
      summary: 'The condition of each machine against its frozen baseline, the worst first',
      answer: answers.machineList,
      async handle() {
        const found = await recall('machines', () => listMachines(sql()), 1000)
        return { status: found.status, as_of: found.as_of, error: found.error, machines: found.data ?? [] }
      },
    }),
    endpoint({
      method: 'post',
      role: 'operator',
      path: '/api/machines/:machine_id/rebaseline',
      tag: 'machines',
      summary:
        'After maintenance: forget what was learnt of the machine, end its alarm, learn a new baseline',
      params: z.object({ machine_id: nameParameter }),
      body: z.strictObject({
        reason: plainText(500).min(1),
        factory_section: plainText(100).optional().meta({
          description: 'where several sections have a machine of that name',
        }),
        by: plainText(64).min(1).default('operator').meta({ description: 'who does it' }),
      }),
      answer: answers.rebaselined,
      async handle({ params, body, c }) {
        const machines = await write(() =>
          rebaselineMachine(sql(), {
            machineId: params.machine_id,
            factorySection: body.factory_section ?? null,
            by: actorOf(c, body.by),
            reason: body.reason,
            alertTopic,
          }),
        )
        if (machines === 0) throw new Problem(404, 'Not found', 'No machine has that name')
        return { machine_id: params.machine_id, machines }
      },
    }),
  ]
}
