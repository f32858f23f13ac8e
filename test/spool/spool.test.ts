import { Database } from 'bun:sqlite'
import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { contentHash } from '../../lib/hash.ts'
import { partitionOf } from '../../lib/kafka/partitioner.ts'
import { MAX_VALUE_BYTES, type Reading } from '../../lib/reading.ts'
import type { LedgerEntry } from '../../lib/spool/ledger.ts'
import { spoolFile } from '../../lib/spool/store.ts'
import { measured, measuredMany } from './measured.ts'
import { cleanUp, countUp, folder, ledgerOf, name, open, seqsOf, takeAll, until } from './room.ts'

setDefaultTimeout(30_000) // each waits for its condition; only a busy machine comes near this

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

test('accept() resolves when the reading is in the ledger of the file, with its content', async () => {
  const directory = folder()
  const spool = open({ directory })
  const one = measured('temp-sensor-001', 42)
  await spool.accept([one])
  const { entries, spooled, runId } = ledgerOf(directory)
  expect(entries).toHaveLength(1)
  expect(entries[0]).toMatchObject({
    runId: spool.runId,
    sensorId: 'temp-sensor-001',
    seq: 1,
    hash: contentHash(one.reading),
    disposition: 'accepted',
  })
  expect(spooled).toEqual([{ runId, sensorId: 'temp-sensor-001', seq: 1 }])
})

test('each sensor counts from 1 without gaps, also when many write at once', async () => {
  const directory = folder()
  const spool = open({ directory })
  const writers = countUp(40).map((n) => spool.accept(measuredMany(25, 4, { from: n * 25 })))
  await Promise.all(writers)
  const seqs = seqsOf(ledgerOf(directory).entries)
  expect(seqs.size).toBe(4)
  for (const list of seqs.values()) expect(list).toEqual(countUp(250))
})

test('numbers, run and unsent messages go on after a restart', async () => {
  const directory = folder()
  const first = open({ directory })
  await first.accept(measuredMany(10, 2))
  const { runId } = first
  await first.close()
  const second = open({ directory })
  expect(second.runId).toBe(runId)
  expect(second.state()).toMatchObject({ accepted: 10, spooled: 10, sent: 0 })
  await second.accept(measuredMany(2, 2))
  const messages = takeAll(second).flatMap((b) => b.messages)
  expect(messages.filter((m) => m.key.toString() === 'sensor-0').map((m) => m.seq)).toEqual(countUp(6))
})

test('numbers have no gap over many commits and many lives', async () => {
  const directory = folder()
  for (const life of countUp(4)) {
    const spool = open({ directory })
    for (const n of countUp(150 * life)) await spool.accept(measuredMany(2, 7, { from: n * 2 }))
    await spool.close()
  }
  const { entries } = ledgerOf(directory)
  expect(entries).toHaveLength(3000)
  for (const list of seqsOf(entries).values()) expect(list).toEqual(countUp(list.length))
})

test('the ledger forgets what is past its days, but nothing that is still to be sent', async () => {
  const directory = folder()
  const spool = open({ directory, ledgerMs: 1 })
  for (const n of countUp(300)) await spool.accept(measuredMany(1, 1, { from: n }))
  expect(ledgerOf(directory).entries).toHaveLength(300)
  while (spool.state().spooled > 0) takeAll(spool).forEach((batch) => spool.done(batch))
  for (const n of countUp(300)) await spool.accept(measuredMany(1, 1, { from: 300 + n }))
  const { entries, spooled, totals } = ledgerOf(directory)
  expect(totals.accepted).toBe(600)
  expect(entries.length).toBeLessThan(600)
  const known = new Set(entries.map(name))
  for (const s of spooled) expect(known.has(name(s))).toBe(true)
  expect(entries.at(-1)?.seq).toBe(600)
})

test('a message that waits is the message that was encoded, byte for byte', async () => {
  const spool = open()
  const readings = [measured('temp-sensor-001', 1), measured('temp-sensor-002', 2, { padding: 3000 })]
  await spool.accept(readings)
  const sent = takeAll(spool).flatMap((b) => b.messages)
  for (const m of readings) {
    const found = sent.find((s) => s.key.toString() === m.key)
    expect(found?.value.toString()).toBe(String(m.encode({ runId: spool.runId, seq: 1 })))
  }
})

test('a device that measures two things is two sensors with one number; a heartbeat has a number and no reading', async () => {
  const directory = folder()
  const spool = open({ directory })
  const device = (n: number) => {
    const base = measured('dev-1', n)
    const parts = ['temperature', 'humidity'].map((what): Reading => ({
      ...base.reading,
      sensorId: `dev-1.${what}`,
    }))
    return { ...base, reading: parts as unknown as Reading }
  }
  const heartbeat = { ...measured('dev-1', 0), topic: 'beats', reading: [] as unknown as Reading }
  await spool.accept([device(1), heartbeat, device(2)])
  const { entries, totals } = ledgerOf(directory)
  expect(entries.map(name).sort()).toEqual([
    'dev-1.humidity:1',
    'dev-1.humidity:2',
    'dev-1.temperature:1',
    'dev-1.temperature:2',
  ])
  expect(totals.accepted).toBe(3)
  expect(spool.take('beats', partitionOf('dev-1', 3))?.messages.map((m) => m.seq)).toEqual([1])
})

test('what was acknowledged is in the file after SIGKILL in the midst of accepting, and the numbers have no gap', async () => {
  const directory = folder()
  let acceptedBefore = 0
  for (const round of countUp(3)) {
    const child = Bun.spawn(['bun', join(import.meta.dir, 'accept-until-killed.ts'), directory, 'plant'], {
      stdout: 'pipe',
      stderr: 'inherit',
    })
    let acknowledged = 0
    const decoder = new TextDecoder()
    let text = ''
    for await (const bytes of child.stdout) {
      text += decoder.decode(bytes)
      acknowledged = Number(text.trimEnd().split('\n').at(-1))
      if (acknowledged > 1500 + round * 333) child.kill('SIGKILL')
    }
    await child.exited
    const { entries, spooled, totals } = ledgerOf(directory)
    expect(acknowledged).toBeGreaterThan(1500)
    expect(entries.length - acceptedBefore).toBeGreaterThanOrEqual(acknowledged)
    expect(totals.accepted).toBe(entries.length)
    for (const [sensorId, list] of seqsOf(entries)) {
      expect({ sensorId, list }).toEqual({ sensorId, list: countUp(list.length) })
    }
    expect(spooled.map(name).sort()).toEqual(entries.map(name).sort())
    acceptedBefore = entries.length
  }
  expect(open({ directory }).state().spooled).toBe(acceptedBefore)
})

test('a second process is refused while the first lives, by name', async () => {
  const directory = folder()
  open({ directory })
  expect(() => open({ directory })).toThrow(
    /in use by process \d+ on .*: stop that producer, or give this one its own/,
  )
})

test('done() takes messages out, and what was not done comes again after a restart', async () => {
  const directory = folder()
  const spool = open({ directory })
  await spool.accept(measuredMany(30, 1))
  const { topic, partition } = spool.lines()[0]!
  const first = spool.take(topic, partition)!
  await spool.accept(measuredMany(5, 1, { from: 30 }))
  expect(spool.take(topic, partition)).toBeNull() // one batch of a partition at a time
  spool.done(first)
  await spool.close()
  const again = open({ directory })
  expect(again.state()).toMatchObject({ sent: 30, spooled: 5, accepted: 35 })
  expect(again.take(topic, partition)?.messages.map((m) => m.seq)).toEqual([31, 32, 33, 34, 35])
})

test('a full spool lets accept wait, says so, and goes on when there is room', async () => {
  const spool = open({ maxBytes: 1024 * 1024 })
  let resolved = false
  const all = spool.accept(measuredMany(6000, 3)).then(() => (resolved = true))
  await until(() => spool.state().blocked !== null, 'the spool is blocked')
  expect(spool.state().blocked).toBe('the spool is full')
  expect(resolved).toBe(false)
  expect(spool.state().spoolBytes).toBeLessThan(1024 * 1024 + 1000)
  while (!resolved) {
    takeAll(spool).forEach((batch) => spool.done(batch))
    await Bun.sleep(1)
  }
  await all
  expect(spool.state()).toMatchObject({ blocked: null, accepted: 6000, dropped: 0 })
})

test('drop-oldest gives up the oldest by name and never what is on its way', async () => {
  const directory = folder()
  const told: number[] = []
  const spool = open({
    directory,
    maxBytes: 1024 * 1024,
    whenFull: 'drop-oldest',
    partitionOf: () => 0,
    onDropped: (count) => told.push(count),
  })
  for (const n of countUp(60)) await spool.accept(measuredMany(100, 4, { from: n * 100 }))
  const underWay = spool.take('sensor-data', 0)!
  for (const n of countUp(60)) await spool.accept(measuredMany(100, 4, { from: 10_000 + n * 100 }))
  const state = spool.state()
  expect(state.accepted).toBe(12_000)
  expect(state.dropped).toBe(told.reduce((a, b) => a + b, 0))
  expect(state.dropped).toBeGreaterThan(5000)
  const { entries, spooled } = ledgerOf(directory)
  const by = (d: LedgerEntry['disposition']) => entries.filter((e) => e.disposition === d)
  expect(by('dropped')).toHaveLength(state.dropped)
  expect(by('accepted').map(name).sort()).toEqual(spooled.map(name).sort())
  const kept = new Set(spooled.map(name))
  for (const m of underWay.messages) expect(kept.has(`${m.key.toString()}:${m.seq}`)).toBe(true)
  spool.done(underWay)
})

test('a message larger than any consumer looks into is refused alone, and waits for its dead letter', async () => {
  const directory = folder()
  const spool = open({ directory })
  await spool.accept([
    measured('a', 1),
    measured('a', 2, { padding: MAX_VALUE_BYTES }),
    measured('a', 3),
    measured('a', 4, { padding: 10 * 1024 * 1024 }),
  ])
  expect(takeAll(spool).flatMap((b) => b.messages.map((m) => m.seq))).toEqual([1, 3])
  expect(ledgerOf(directory).entries.map((e) => `${e.seq} ${e.disposition}`)).toEqual([
    '1 accepted',
    '2 rejected',
    '3 accepted',
    '4 rejected',
  ])
  await spool.close()
  const again = open({ directory })
  const refusals = again.refusals(10)
  expect(refusals.map((r) => [r.key, r.seq, r.reason, r.value.length])).toEqual([
    ['a', 2, 'too_large', 65_536],
    ['a', 4, 'too_large', 65_536],
  ])
  expect(refusals[1]?.valueBytes).toBeGreaterThan(10 * 1024 * 1024)
  again.forgetRefusals(refusals.slice(0, 1))
  await until(() => again.refusals(10).length === 1, 'the written refusal is gone')
  expect(again.state()).toMatchObject({ accepted: 4, rejected: 2 })
})

test('a fleet whose message cannot be made is told; no number is used up', async () => {
  const directory = folder()
  const spool = open({ directory })
  const encode = (): string => {
    throw new Error('no schema')
  }
  const broken = { ...measured('a', 2), encode }
  await expect(spool.accept([measured('a', 1), broken, measured('a', 3)])).rejects.toThrow('no schema')
  await spool.accept([measured('a', 4)])
  expect(seqsOf(ledgerOf(directory).entries).get('a')).toEqual([1, 2])
})

test('while the file cannot be written accept waits and says why, and nothing is lost or doubled', async () => {
  const directory = folder()
  const spool = open({ directory })
  await spool.accept(measuredMany(10, 2))
  const other = new Database(spoolFile(directory, 'plant'), { readwrite: true })
  cleanUp.push(() => other.close())
  other.run('begin immediate')
  let resolved = false
  const waiting = spool.accept(measuredMany(10, 2, { from: 10 })).then(() => (resolved = true))
  await until(() => /disk refuses: .*locked/.test(spool.state().blocked ?? ''), 'the spool is blocked')
  expect(resolved).toBe(false)
  expect(ledgerOf(directory).entries).toHaveLength(10)
  other.run('rollback')
  await waiting
  expect(spool.state().blocked).toBeNull()
  for (const list of seqsOf(ledgerOf(directory).entries).values()) expect(list).toEqual(countUp(10))
})

test('a disk that takes no more bytes: accept waits, and all that was acknowledged is there in the end', async () => {
  const directory = folder()
  const program = join(import.meta.dir, 'accept-until-killed.ts')
  // The limit on a file's size stands for the full disk: the write itself is refused, and it can be lifted from outside.
  const child = Bun.spawn(
    ['bash', '-c', `trap '' XFSZ; ulimit -S -f 2500; exec bun "$0" "$1" plant`, program, directory],
    { stdout: 'pipe', stderr: 'pipe' },
  )
  cleanUp.push(() => child.kill('SIGKILL'))
  let acknowledged = 0
  const counting = (async () => {
    let text = ''
    for await (const bytes of child.stdout) {
      text = (text + new TextDecoder().decode(bytes)).slice(-100)
      acknowledged = Number(text.trimEnd().split('\n').at(-1))
    }
  })()
  let log = ''
  const reading = (async () => {
    for await (const bytes of child.stderr) log += new TextDecoder().decode(bytes)
  })()
  await until(() => log.includes('spool.commit_failed'), 'the disk refuses', 20_000)
  const atTheLimit = acknowledged
  Bun.spawnSync(['prlimit', '--pid', String(child.pid), '--fsize=unlimited'])
  await until(() => acknowledged > atTheLimit + 1000, 'accepting goes on', 20_000)
  child.kill('SIGKILL')
  await Promise.all([child.exited, counting, reading])
  const { entries } = ledgerOf(directory)
  expect(entries.length).toBeGreaterThanOrEqual(acknowledged)
  for (const list of seqsOf(entries).values()) expect(list).toEqual(countUp(list.length))
}, 60_000)

test('drained() resolves when the last message is done', async () => {
  const spool = open()
  await spool.accept(measuredMany(10, 3))
  let drained = false
  const waiting = spool.drained(new AbortController().signal).then(() => (drained = true))
  await Bun.sleep(0)
  expect(drained).toBe(false)
  takeAll(spool).forEach((batch) => spool.done(batch))
  await waiting
  expect(spool.state()).toMatchObject({ spooled: 0, sent: 10 })
})
