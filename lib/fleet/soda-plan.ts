import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { sodaName, tier } from '../line.ts'
import { sensorId } from '../reading.ts'
import { EXIT, Stop } from '../run.ts'
import { placeOfFault } from './json-fault.ts'
import { createRandom } from './random.ts'

/** Which factories there are, their sensors, and what each line has to make. */
export interface SodaPlan {
  factories: string[]
  sensors: LineSensor[]
  lines: LineTarget[]
  /** what of the configuration is not done, and why: one sentence each */
  warnings: string[]
}

export interface LineSensor {
  factoryId: string
  sensorId: string
  tier: string
}

export interface LineTarget extends LineSensor {
  sodaName: string
  total: number
}

export interface SodaPlanOptions {
  /** the text of the configuration, and its name for messages */
  text: string
  file: string
  /** F1 … FN; null: F1 to F3 and what else the configuration names */
  factories: number | null
  seed: string
}

const TIERS = ['1.1', '1.2', '2.1', '2.2', '3.1'] as const
const FACTORIES = 3
const SENSORS = { least: 3, most: 5 }

const item = z.object({
  sodaName,
  number: z.number().int().min(1).max(1e9),
  sensorID: sensorId,
  /** an item that names it brings its sensor along; otherwise the sensor is one of those drawn from the seed */
  tier: tier.optional(),
})
const configuration = z.record(sensorId, z.array(item))

const ROOT = join(import.meta.dir, '../..')

/** As named, or from the project's folder where a program was started elsewhere. Throws Stop (78) where it can't be read. */
export function readSodaPlan(name: string): string {
  const file = existsSync(name) ? name : join(ROOT, name)
  try {
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '') // some editors begin a file with a mark
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const seen = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`
    throw new Stop(
      `Cannot start: "${name}": ${seen}: name what the lines make with --config or SODA_CONFIG`,
      EXIT.config,
      { cause },
    )
  }
}

/** Pure: the same text, number and seed give the same plan. Throws Stop (78) where the text is no configuration. */
export function planSoda({ text, file, factories: count, seed }: SodaPlanOptions): SodaPlan {
  const parts = parse(text, file)
  const numbered = Array.from({ length: count ?? FACTORIES }, (_, i) => `F${i + 1}`)
  const further = Object.keys(parts).filter((name) => !numbered.includes(name))
  const factories = count === null ? [...numbered, ...further] : numbered
  const warnings =
    count === null
      ? []
      : further.map(
          (name) => `${file} has a part for ${name}, which does not run: ${count} factories do (--factories)`,
        )
  const drawn = new Map(factories.map((factoryId) => [factoryId, drawSensors(factoryId, seed)]))
  const sensors: LineSensor[] = []
  const lines: LineTarget[] = []
  for (const factoryId of factories) {
    const own = drawn.get(factoryId) ?? []
    const items = parts[factoryId]
    if (!items) warnings.push(`${file} has no part for factory ${factoryId}: it makes nothing`)
    for (const { sodaName, number: total, sensorID, tier: given } of items ?? []) {
      const what = `${factoryId}: ${sodaName} on ${sensorID}`
      const elsewhere = [...drawn.values()].flat().find((s) => s.sensorId === sensorID)
      let sensor = own.find((s) => s.sensorId === sensorID)
      if (!sensor && given !== undefined && !elsewhere)
        own.push((sensor = { factoryId, sensorId: sensorID, tier: given }))
      if (!sensor) {
        const has = own.map((s) => s.sensorId).join(', ') || 'none'
        const whose = elsewhere ? ` (${elsewhere.factoryId} has it)` : ''
        warnings.push(`${what} is skipped: ${factoryId} has no sensor ${sensorID}${whose}, it has ${has}`)
      } else if (lines.some((l) => l.sensorId === sensorID && l.sodaName === sodaName)) {
        warnings.push(`${what} is skipped: that line is there already`)
      } else {
        if (given !== undefined) sensor.tier = given
        lines.push({ ...sensor, sodaName, total })
      }
    }
    sensors.push(...own)
  }
  return {
    factories,
    sensors,
    lines: lines.map((line) => ({ ...line, tier: tierOf(sensors, line) })),
    warnings,
  }
}

/** Three to five sensors of a numbered factory, with a tier each; one that is called otherwise has those that its items bring. */
function drawSensors(factoryId: string, seed: string): LineSensor[] {
  const number = /^F([1-9]\d*)$/.exec(factoryId)?.[1]
  if (number === undefined) return []
  const random = createRandom(`${seed}/soda/${factoryId}`)
  return Array.from({ length: random.whole(SENSORS.least, SENSORS.most) }, (_, i) => ({
    factoryId,
    sensorId: `S${number}-${i + 1}`,
    tier: TIERS[random.whole(0, TIERS.length - 1)] ?? TIERS[0],
  }))
}

function tierOf(sensors: readonly LineSensor[], line: LineTarget): string {
  return sensors.find((s) => s.sensorId === line.sensorId)?.tier ?? line.tier
}

function parse(text: string, file: string): z.infer<typeof configuration> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    const seen = cause instanceof Error ? cause.message : String(cause)
    const { line, column } = placeOfFault(text)
    throw new Stop(
      `Cannot start: ${file} is not JSON: line ${line}, column ${column}: ${seen}: mend it, or name another with --config`,
      EXIT.config,
      { cause },
    )
  }
  const checked = configuration.safeParse(json)
  if (checked.success) return checked.data
  const faults = checked.error.issues.map((issue) => `  ${pathOf(issue.path)}: ${issue.message}`)
  throw new Stop(
    `Cannot start: ${file} has ${faults.length} fault(s)\n${faults.join('\n')}\n  its form is {"F1": [{"sodaName": "Coca-Cola", "number": 10, "sensorID": "S1-1"}]}`,
    EXIT.config,
  )
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.length === 0
    ? 'the whole'
    : path
        .map((p) => (typeof p === 'number' ? `[${p}]` : `.${String(p)}`))
        .join('')
        .replace(/^\./, '')
}
