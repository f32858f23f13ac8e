import { sleep } from '../../lib/run.ts'
import { CONDITIONS, shortOfGreen } from './conditions.ts'
import { readHappenings, readSamples, type Sample } from './sample.ts'

/**
 * `bun chaos/watch/until.ts RUN SECONDS SINCE CONDITION [WORD…]`: waits until the newest sample shows it; prints the
 * seconds that passed since the event SINCE (calm, strike, heal …) of the script FAULT. exit 1: not within SECONDS;
 * prints what was seen instead.
 *
 * `bun chaos/watch/until.ts RUN show leader PARTITION | owner PARTITION | busiest`: a fact of the newest sample.
 */
const [run = '.', ...words] = process.argv.slice(2)
if (words[0] === 'show') {
  const fact = show(newest(readSamples(run)), words[1], words[2])
  if (fact === null)
    throw new Error(`Cannot show ${words.slice(1).join(' ')}: the newest sample does not tell`)
  console.log(fact)
} else {
  const [seconds = '0', mark = 'calm', name = '', ...rest] = words
  const condition = CONDITIONS[name]
  if (!condition)
    throw new Error(`Cannot wait for "${name}": must be one of ${Object.keys(CONDITIONS).join(', ')}`)
  const since =
    readHappenings(run).findLast((one) => one.event === mark && one.by === process.env.FAULT)?.t ?? Date.now()
  const until = Date.now() + Number(seconds) * 1000
  for (;;) {
    const all = readSamples(run).filter((sample) => sample.t >= since)
    const now = all.at(-1)
    const first = all.find((sample) => sample.database !== null) ?? all[0] // the observer's first answers take a moment
    if (now && first && condition({ now, since: first, all }, ...rest)) {
      console.log(((now.t - since) / 1000).toFixed(1))
      process.exit(0)
    }
    if (Date.now() > until) {
      console.log(now ? wordsFor(now, first ?? now, name, rest) : 'no sample')
      process.exit(1)
    }
    await sleep(250)
  }
}

function newest(samples: Sample[]): Sample {
  const sample = samples.at(-1)
  if (!sample) throw new Error(`Cannot look: the observer has not written to ${run} yet`)
  return sample
}

function show(sample: Sample, what: string | undefined, word: string | undefined): string | null {
  const owner = (partition: number) =>
    sample.database?.partitions.find((p) => p.partition === partition)?.owner ?? null
  if (what === 'leader') return sample.kafka ? `kafka${sample.kafka.leader[Number(word)]}` : null
  if (what === 'owner') return owner(Number(word))
  return null
}

function wordsFor(now: Sample, since: Sample, name: string, rest: string[]): string {
  if (name === 'green') return shortOfGreen({ now, since }, Number(rest[0]), Number(rest[1])).join('; ')
  const { kafka, database, ports, api } = now
  return JSON.stringify({
    isr: kafka?.isr,
    leader: kafka?.leader,
    members: kafka?.members,
    owners: database?.partitions.map((p) => p.owner),
    ports,
    api,
  })
}
