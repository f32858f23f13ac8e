import { z } from 'zod'
import { parseDuration } from '../kinds.ts'
import { DEFAULT_ADAPTIVE_RULE } from '../detect/adaptive.ts'
import { DEFAULT_BASELINE_RULE } from '../detect/baseline.ts'
import { DEFAULT_EQUIPMENT_RULE } from '../detect/equipment.ts'
import { DEFAULT_QUALITY_RULE } from '../detect/quality.ts'
import { DEFAULT_VIBRATION_RULE, MACHINE_CLASSES, type MachineClass } from '../detect/vibration.ts'
import { EXIT, Stop } from '../run.ts'
import { sensorId } from '../reading.ts'

/**
 * A rule book: every rule by which alarms are raised, as people write it (config/rules.yaml, the API) and as it lies in
 * table rule_books. One schema checks all; what it makes of a book is what the detectors get. An operator reads
 * `title`, `consequence` and `response` beside the alarm: what it is, what happens if nobody acts, what to do.
 */
/** A book is kept as JSON of PostgreSQL, which has no place for NUL and half a character. */
const storable = z
  .string()
  .refine((t) => t.isWellFormed() && !t.includes('\u0000'), 'must be well-formed text without NUL')
const text = storable.max(500).default('')
const seconds = z
  .union([
    z.number().min(0),
    z.string().regex(/^\d+(\.\d+)?\s*(ms|s|m|h)$/, 'must be a duration such as 30s'),
  ])
  .transform((t) => (typeof t === 'number' ? t : parseDuration(t) / 1000))
/** `3`: readings in a row; `30s`: held for so long */
const delay = z
  .union([
    z.int().min(1),
    z.string().regex(/^\d+(\.\d+)?\s*(ms|s|m|h)$/, 'must be readings (3) or a time (30s)'),
  ])
  .transform((t) =>
    typeof t === 'number' ? { readings: t, micros: 0 } : { readings: 1, micros: parseDuration(t) * 1000 },
  )
const minutes = z
  .int()
  .min(-14 * 60)
  .max(14 * 60)
  .default(0)
const finite = z.number()
const above0 = z.number().positive()
const few = z.int().min(1).max(10_000)
const names = (what: z.ZodString) => z.array(what).min(1).optional()

export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]
export const RULE_KINDS = [
  'limit',
  'physical',
  'consecutive',
  'rapid_change',
  'deviation',
  'adaptive',
  'baseline',
  'quality',
  'vibration',
  'energy',
  'silence',
  'equipment',
] as const
export type RuleKind = (typeof RULE_KINDS)[number]

const common = {
  id: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,95}$/, 'must be a lower-case word with dots, such as temperature.high'),
  enabled: z.boolean().default(true),
  /** each given list must name the sensor; without any the rule is for all */
  applies: z
    .strictObject({
      topics: names(storable.min(1)),
      sensor_types: names(storable.min(1)),
      sensor_ids: names(sensorId),
      machine_ids: names(storable.min(1)),
    })
    .default({}),
  severity: z.enum(SEVERITIES),
  anomaly_type: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be a word such as rapid_value_change'),
  /** stays until somebody has acknowledged it, although the condition is over */
  latching: z.boolean().default(false),
  /** raises nothing while an alarm of one of these kinds (`critical`: of a critical limit) is open for the sensor */
  yields_to: z.array(z.enum([...RULE_KINDS, 'critical'])).default([]),
  title: text,
  consequence: text,
  response: text,
}
const side = z.enum(['high', 'low'])

export const rule = z.discriminatedUnion('kind', [
  z.strictObject({
    ...common,
    kind: z.literal('limit'),
    side,
    limit: finite,
    /** the limit itself is still inside */
    exclusive: z.boolean().default(false),
    deadband: z.number().min(0).default(0),
    on_delay: delay.prefault(1),
    off_delay: delay.prefault(2),
    /** what a reading beyond it is called */
    level: z.enum(['none', 'warning', 'critical']).default('none'),
  }),
  z
    .strictObject({ ...common, kind: z.literal('physical'), low: finite, high: finite })
    .refine((r) => r.low < r.high, 'low must be below high'),
  z.strictObject({
    ...common,
    kind: z.literal('consecutive'),
    side,
    limit: finite,
    deadband: z.number().min(0).default(0),
    readings: z.int().min(2).max(1000),
  }),
  z.strictObject({ ...common, kind: z.literal('rapid_change'), limit: above0, hold: few.default(5) }),
  z.strictObject({
    ...common,
    kind: z.literal('deviation'),
    limit: above0,
    baseline: finite.nullable().default(null),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('adaptive'),
    threshold: above0.default(DEFAULT_ADAPTIVE_RULE.threshold),
    utc_offset_minutes: minutes,
  }),
  z.strictObject({
    ...common,
    kind: z.literal('baseline'),
    threshold: above0.default(DEFAULT_BASELINE_RULE.threshold),
    slowest: seconds.prefault(DEFAULT_BASELINE_RULE.slowestMicros / 1e6),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('quality'),
    decades: above0.default(DEFAULT_QUALITY_RULE.decades),
    least_readings: few.default(DEFAULT_QUALITY_RULE.leastReadings),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('vibration'),
    machine_class: z.enum(Object.keys(MACHINE_CLASSES) as [MachineClass, ...MachineClass[]]),
    horizon: seconds.prefault(DEFAULT_VIBRATION_RULE.horizonMicros / 1e6),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('energy'),
    threshold: above0.default(5),
    least_share: z.number().min(0).max(10).default(0.1),
    price_per_kwh: z.number().min(0).nullable().default(null),
    utc_offset_minutes: minutes,
  }),
  z.strictObject({
    ...common,
    kind: z.literal('silence'),
    /** of the sensor's own, learnt */
    intervals: above0.default(4),
    least: seconds.prefault('5s'),
    settle_readings: few.default(5),
    /** nobody is called silent so soon after this consumer took the partition over */
    settle: seconds.prefault('15s'),
  }),
  z
    .strictObject({
      ...common,
      kind: z.literal('equipment'),
      threshold: above0.default(DEFAULT_EQUIPMENT_RULE.threshold),
      /** minutes that are the baseline: less than a day would take the daily round for wear */
      commissioning: z.int().min(60).max(100_000).default(1440),
      /** how much a slow wander in commissioning takes from a channel's distance: less where it has seen whole rounds */
      wandering: z.number().min(0).max(10).default(DEFAULT_EQUIPMENT_RULE.wandering),
    })
    .refine(
      ({ applies: { topics, sensor_ids } }) => !(topics ?? sensor_ids),
      'is for whole machines: applies can name machine_ids, and the sensor_types that are their channels',
    ),
])
export type Rule = z.infer<typeof rule>
/** judged reading by reading, sensor by sensor; the others are judged machine by machine */
export type SensorRule = Exclude<Rule, { kind: 'equipment' }>
export type RuleOf<Kind extends RuleKind> = Extract<Rule, { kind: Kind }>

export const rulebook = z
  .strictObject({
    /** so many sensors of one machine that raise within the window are one alarm of the machine; each waits for it */
    groups: z
      .strictObject({
        sensors: z.int().min(2).max(1000).default(3),
        window: seconds.prefault('60s'),
        wait: seconds.prefault('10s'),
      })
      .prefault({}),
    rules: z.array(rule).max(2000),
  })
  .superRefine(({ rules }, context) => {
    const seen = new Set<string>()
    for (const [i, { id }] of rules.entries()) {
      if (seen.has(id))
        context.addIssue({ code: 'custom', path: ['rules', i, 'id'], message: `${id} is there twice` })
      seen.add(id)
    }
  })
/** as people write it and as it is stored */
export type RuleBookText = z.input<typeof rulebook>
export type RuleBook = z.infer<typeof rulebook>

/** Every fault of a book, by its place, with the id of its rule; none: it can be used. */
export function bookFaults(given: unknown): { field: string; message: string }[] {
  const rules = (given as { rules?: { id?: unknown }[] } | null)?.rules
  return (rulebook.safeParse(given).error?.issues ?? []).map(({ path, message }) => {
    const id = path[0] === 'rules' && typeof path[1] === 'number' ? rules?.[path[1]]?.id : undefined
    const place = path.join('.') || 'the book'
    return { field: typeof id === 'string' ? `${id}: ${place}` : place, message }
  })
}

/** Checks a book. Throws Stop (78) that names every fault, with the id of its rule. */
export function parseBook(given: unknown, from: string): RuleBook {
  const parsed = rulebook.safeParse(given)
  if (parsed.success) return parsed.data
  const faults = bookFaults(given).map(({ field, message }) => `  ${field} ${message}`)
  throw new Stop(
    `Cannot use the rule book ${from}: it has ${faults.length} fault(s)\n${faults.join('\n')}`,
    EXIT.config,
  )
}

/** The book with other values in one rule; null where it has no rule of that id. Not checked. */
export function withRule(
  book: RuleBookText,
  id: string,
  fields: Readonly<Record<string, unknown>>,
): RuleBookText | null {
  if (!book.rules.some((one) => one.id === id)) return null
  const rules = book.rules.map((one) => (one.id === id ? { ...one, ...fields } : one))
  return { ...book, rules: rules as RuleBookText['rules'] }
}
