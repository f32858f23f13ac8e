import { Kafka, type Producer, type ProducerRecord, type RecordMetadata } from 'kafkajs'
import { openLedger } from './ledger.ts'

/**
 * A tap on the producers, loaded before them: `JUDGE_LEDGER=DIR bun --preload ./chaos/judge/tap.ts producer.ts` (or in
 * BUN_OPTIONS). It stands where the program hands messages to the client library: what was asked is written down before,
 * what was answered after, each before anybody else hears of it.
 */
const directory = process.env.JUDGE_LEDGER
if (directory) {
  const ledger = openLedger(directory)
  const writer = `${process.pid}-${Date.now()}`
  const make = Kafka.prototype.producer
  let sends = 0
  Kafka.prototype.producer = function (this: Kafka, config): Producer {
    const producer = make.call(this, config)
    const { send } = producer
    producer.send = (record) => recorded(++sends, record, send)
    return producer
  }

  const write = (line: Parameters<typeof ledger.append<'sends'>>[1][number]) =>
    ledger.append('sends', [line], writer)

  async function recorded(
    id: number,
    record: ProducerRecord,
    send: Producer['send'],
  ): Promise<RecordMetadata[]> {
    const { pid } = process
    const messages = record.messages.map((m): [number, string, number | null] => {
      const seq = m.headers?.seq
      return [m.partition ?? -1, String(m.key), seq === undefined ? null : Number(seq)]
    })
    write({ at: Date.now(), pid, send: id, step: 'asked', topic: record.topic, messages })
    try {
      const answer = await send(record)
      const places = answer.map((a): [number, number] => [
        a.partition,
        a.errorCode === 0 ? Number(a.baseOffset ?? -1) : -1,
      ])
      write({ at: Date.now(), pid, send: id, step: 'acked', answer: places })
      return answer
    } catch (error) {
      write({ at: Date.now(), pid, send: id, step: 'failed', why: String(error) })
      throw error
    }
  }
}
