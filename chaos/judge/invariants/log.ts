import { ByNumber } from '../by-number.ts'
import type { Evidence, LogMessage, Send } from '../evidence.ts'
import { createFinding, type Finding } from '../finding.ts'

/** I4, I5: the log is what its brokers acknowledged, and each sensor's numbers rise in it. */
export function judgeLog(e: Evidence): Finding[] {
  return [judgeAcks(e), judgeOrder(e)]
}

function judgeAcks(e: Evidence): Finding {
  const finding = createFinding(
    'I4',
    'what was acknowledged is in the log where it was said to be; no place was given twice',
  )
  if (e.sends === null) {
    finding.note('no tap was on the producers')
    return finding.done()
  }
  const topics = new Set(e.ends.map((end) => end.topic))
  const log = new ByNumber<LogMessage>()
  const counts = new Map<string, number>()
  for (const m of e.log) {
    log.set(m, m.offset, m.topic, m.partition)
    const id = `${m.topic}/${m.partition}`
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  const given = new ByNumber<Send['messages'][number]>()
  let unnamed = 0
  for (const send of e.sends) {
    if (send.outcome !== 'acked' || !topics.has(send.topic)) continue
    for (const [partition, messages] of Map.groupBy(send.messages, (m) => m.partition)) {
      finding.look()
      const answer = send.answer.find((a) => a.partition === partition)
      if (!answer || answer.base < 0) {
        unnamed++ // no acknowledgement, whatever the library calls it: what is lost by it shows in I1
        continue
      }
      for (const [i, message] of messages.entries()) {
        const offset = answer.base + i
        const before = given.get(offset, send.topic, partition)
        const there = log.get(offset, send.topic, partition)
        given.set(message, offset, send.topic, partition)
        if (!before && (there ? isSame(there, message) : isBelow(e, send.topic, partition, offset))) continue
        const place = `${send.topic}/${partition}/${offset}`
        const who = `${message.key}/${message.seq}`
        if (before) finding.violated(`${place} was given to ${before.key}/${before.seq} and to ${who}`)
        else
          finding.violated(
            `${who} was acknowledged at ${place}, where the log has ${there ? `${there.key}/${there.seq}` : 'nothing'}`,
          )
      }
    }
  }
  if (unnamed > 0) finding.note(`${unnamed} sends ended without an answer that names their partition`)
  const lone = e.ends.filter((end) => (counts.get(`${end.topic}/${end.partition}`) ?? 0) < end.high - end.low)
  if (lone.length > 0)
    finding.note(`offsets skip in ${lone.map((l) => `${l.topic}/${l.partition}`).join(', ')}`)
  return finding.done()
}

function isSame(there: LogMessage, message: { key: string; seq: number | null }): boolean {
  return there.key === message.key && there.seq === message.seq
}

function isBelow(e: Evidence, topic: string, partition: number, offset: number): boolean {
  const end = e.ends.find((x) => x.topic === topic && x.partition === partition)
  return end !== undefined && offset < end.low
}

function judgeOrder(e: Evidence): Finding {
  const finding = createFinding(
    'I5',
    "a sensor's numbers rise with the offset, apart from batches sent again",
  )
  for (const [source, messages] of Map.groupBy(
    e.log.filter((m) => m.run !== null),
    (m) => `${m.topic}/${m.run}/${m.key}`,
  )) {
    const seen = new Map<number, bigint | null>()
    let high = 0
    if (new Set(messages.map((m) => m.partition)).size > 1)
      finding.violated(`${source} is in more than one partition`)
    for (const { seq, offset, content } of messages) {
      if (seq === null) continue
      finding.look()
      const print = content.is === 'good' ? content.print : null
      if (seq <= high && !seen.has(seq))
        finding.violated(`${source}: number ${seq} comes at offset ${offset}, after ${high}`)
      if (seen.has(seq) && seen.get(seq) !== print)
        finding.violated(`${source}: number ${seq} comes again at offset ${offset} and says something else`)
      seen.set(seq, print)
      high = Math.max(high, seq)
    }
  }
  return finding.done()
}
