import { z } from 'zod'
import { sectionState } from './live.ts'

const time = z.iso.datetime()

/** A rule as people write it; lib/alarm/rulebook.ts is the schema by which it is checked. */
export const rule = z
  .looseObject({
    id: z.string(),
    kind: z.string(),
    enabled: z.boolean(),
    severity: z.string(),
    anomaly_type: z.string(),
  })
  .meta({ id: 'Rule' })

export const ruleVersion = z.object({
  version: z.int(),
  author: z.string(),
  reason: z.string(),
  created_at: time.nullable(),
})

export const rules = sectionState
  .extend({
    ...ruleVersion.shape,
    in_force: z
      .array(
        z.object({
          topic: z.string(),
          partition: z.int(),
          version: z.int(),
          from_offset: z.number(),
          activated_at: time,
        }),
      )
      .meta({ description: 'which version judges on each partition, and from which offset on' }),
    rules: z.array(rule),
  })
  .meta({ id: 'Rules' })

export const oneRule = sectionState
  .extend({
    version: z.int(),
    rule: rule.nullable(),
    history: z
      .array(ruleVersion.extend({ rule: rule.nullable() }))
      .meta({ description: 'versions in which it changed, newest first; null: it was not there' }),
  })
  .meta({ id: 'OneRule' })

export const ruleBooks = sectionState
  .extend({ rule_books: z.array(ruleVersion), next_cursor: z.string().nullable() })
  .meta({ id: 'RuleBooks' })

export const oneRuleBook = sectionState
  .extend({ rule_book: ruleVersion.extend({ book: z.unknown() }).nullable() })
  .meta({ id: 'OneRuleBook' })

export const proposed = z
  .object({ version: z.int().meta({ description: 'of the book that comes into force' }) })
  .meta({ id: 'Proposed' })
