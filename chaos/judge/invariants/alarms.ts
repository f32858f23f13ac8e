import { createHash } from 'node:crypto'
import type { Alarm, Evidence, Rule } from '../evidence.ts'
import { createFinding, type Finding, type Gathering } from '../finding.ts'
import { referenceOf } from '../reference.ts'

const NAMESPACE = Buffer.from('6f1d2c7e9a4b4f0e8c3d5b7a9e1f2d3c', 'hex')

/** I7: alarms are a function of the log, and everybody is told of each. */
export function judgeAlarms(e: Evidence): Finding[] {
  const finding = createFinding(
    'I7',
    'alarms are what the log says, under the id that the log gives, and each is published',
  )
  for (const alarm of e.tables.alarms) {
    finding.look()
    const id = uuid5(`${alarm.rule}\n${alarm.sensor}\n${alarm.topic}\n${alarm.partition}\n${alarm.offset}`)
    if (id !== alarm.id)
      finding.violated(
        `alarm ${alarm.id} (${alarm.rule}, ${alarm.sensor}, offset ${alarm.offset}) should have id ${id}`,
      )
  }
  judgePublished(e, finding)
  const rules = rulesThroughout(e)
  if (rules === null) finding.note('the rules changed meanwhile: limits were not computed again')
  else judgeLimits(e, rules, finding)
  return [finding.done()]
}

function judgePublished(e: Evidence, finding: Gathering): void {
  if (e.tables.unsent > 0) finding.violated(`${e.tables.unsent} transitions wait in the outbox`)
  const raised = new Set(e.alerts.filter((a) => a.state === 'raised').map((a) => a.id))
  const stored = new Set(e.tables.alarms.map((a) => a.id))
  for (const alarm of e.tables.alarms)
    if (!raised.has(alarm.id) && e.tables.unsent === 0)
      finding.violated(`alarm ${alarm.id} (${alarm.rule}, ${alarm.sensor}) was never published`)
  for (const id of raised)
    if (!stored.has(id)) finding.violated(`alarm ${id} was published, and is in no table`)
}

/** The one book by which everything was judged; null where there was more than one. */
function rulesThroughout(e: Evidence): Rule[] | null {
  const versions = new Set(e.tables.activations.map((a) => a.version))
  const [version] = versions
  return versions.size === 1 ? (e.tables.books.find((b) => b.version === version)?.rules ?? null) : null
}

function judgeLimits(e: Evidence, rules: Rule[], finding: Gathering): void {
  const { expected, judged } = referenceOf(e.log, rules, e.tables.progress)
  const name = (a: Pick<Alarm, 'rule' | 'sensor' | 'topic' | 'partition' | 'offset'>) =>
    `${a.rule}, ${a.sensor}, ${a.topic}/${a.partition}/${a.offset}`
  const stored = new Map(e.tables.alarms.filter((a) => judged.has(a.rule)).map((a) => [name(a), a]))
  for (const alarm of expected) {
    finding.look()
    const there = stored.get(name(alarm))
    if (!there) finding.violated(`${name(alarm)}: the log says an alarm, and there is none`)
    else if (there.clearedOffset !== alarm.clearedOffset)
      finding.violated(
        `${name(alarm)}: ends at ${there.clearedOffset ?? 'no offset'}, by the log at ${alarm.clearedOffset ?? 'none'}`,
      )
    stored.delete(name(alarm))
  }
  for (const which of stored.keys()) finding.violated(`${which}: an alarm that the log does not say`)
}

/** RFC 9562, version 5. */
function uuid5(name: string): string {
  const hash = createHash('sha1').update(NAMESPACE).update(name).digest().subarray(0, 16)
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6)
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8)
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
