import type { Entry } from './kafka.ts'
import type { Process, World } from './time.ts'

/**
 * A model of the group and of the library's consumer. Members that are silent for their session are left out; each hears
 * of a new generation in its own time, so that for a while two may hold one partition. What was fetched before is handed
 * over all the same, as the library does.
 */
const TOPIC = 'sensor-data'
const SESSION_MS = 10_000
const HEARTBEAT_MS = 1000
const BATCH = 12

type Listener = (event: { payload: Record<string, unknown> }) => void
type Ask = <T>(act: () => T) => Promise<T>

interface Member {
  id: string
  process: Process
  seenAt: number
  assigned: Set<number>
  emit(event: string, payload: Record<string, unknown>): void
  assign(partitions: number[]): void
  /** the coordinator is away: the library gives the membership up, at a moment of its own */
  giveUp(): void
}

interface Settings {
  retry: { restartOnFailure(error: Error): Promise<boolean> }
}

export function createCoordinator(world: World, logs: Entry[][]) {
  const members = new Map<string, Member>()
  const committed = new Map<number, number>()
  const nature = { name: 'coordinator', alive: true, frozenUntil: 0 }
  let generation = 0
  let pending = false
  let names = 0
  let awayUntil = 0

  watch()

  /** Nobody answers for the group for so long; some members hold out, the others are out. */
  function vanish(ms: number): void {
    awayUntil = world.now() + ms
    for (const m of members.values())
      if (world.chance(0.8)) world.after(world.between(0, ms), m.process, () => m.giveUp())
  }

  function watch(): void {
    world.after(HEARTBEAT_MS, nature, () => {
      const gone = [...members.values()].filter((m) => world.now() - m.seenAt > SESSION_MS)
      for (const m of gone) members.delete(m.id)
      if (gone.length > 0) rebalance()
      watch()
    })
  }

  function rebalance(): void {
    if (pending) return
    pending = true
    for (const m of members.values())
      world.after(
        world.between(0, HEARTBEAT_MS),
        m.process,
        () => members.has(m.id) && m.emit('consumer.rebalancing', { memberId: m.id }),
      )
    world.after(world.between(200, 2500), nature, () => {
      pending = false
      const mine = ++generation
      const list = [...members.values()]
      const shift = Math.floor(world.random() * list.length)
      for (const [i, m] of list.entries()) {
        const partitions = logs.flatMap((_, p) => ((p + shift) % list.length === i ? [p] : []))
        world.after(world.between(1, 1500), m.process, () => {
          if (members.get(m.id) === m && mine === generation) m.assign(partitions)
        })
      }
    })
  }

  function member(ask: Ask, { retry }: Settings) {
    const process = world.current()
    const listeners = new Map<string, Listener[]>()
    const paused = new Set<number>()
    const positions = new Map<number, number>()
    let sought = new Map<number, number>()
    let busy = new Set<number>()
    let running = false
    let eachBatch: ((payload: unknown) => Promise<void>) | null = null
    const me: Member = {
      id: `member-${++names}`,
      process,
      seenAt: world.now(),
      assigned: new Set(),
      emit: (event, payload) => (listeners.get(event) ?? []).forEach((tell) => tell({ payload })),
      assign(partitions) {
        me.assigned = new Set(partitions)
        positions.clear()
        sought = new Map()
        me.emit('consumer.group_join', {
          memberId: me.id,
          isLeader: false,
          duration: 1,
          memberAssignment: { [TOPIC]: partitions },
        })
      },
      giveUp() {
        if (!running) return
        running = false
        // who could not say goodbye stays in until its session ends
        if (world.chance(0.5)) members.delete(me.id)
        void crash()
      },
    }
    async function crash(): Promise<void> {
      const error = new Error('no answer from the coordinator')
      const restart = await retry.restartOnFailure(error)
      me.emit('consumer.crash', { error, restart })
    }
    const heartbeat = () =>
      ask(() => {
        if (!members.has(me.id)) {
          members.set(me.id, me) // it has been left out, and asks to come in again
          rebalance()
        }
        me.seenAt = world.now()
      }).catch(() => {})
    const beat = () => {
      if (!running) return
      void heartbeat()
      setTimeout(beat, HEARTBEAT_MS)
    }

    const positionOf = (partition: number) =>
      sought.get(partition) ?? positions.get(partition) ?? committed.get(partition) ?? 0
    // A fetch that finds nothing waits at the broker; here it is not even sent.
    const poll = () => {
      if (!running) return
      me.emit('consumer.fetch', {})
      for (const partition of me.assigned) {
        const isNews = (logs[partition]?.length ?? 0) > positionOf(partition)
        if (isNews && !busy.has(partition) && !paused.has(partition)) void fetch(partition)
      }
      setTimeout(poll, world.between(20, 800))
    }

    async function fetch(partition: number): Promise<void> {
      busy.add(partition)
      try {
        const asked = positionOf(partition)
        const messages = await ask(() =>
          (logs[partition] ?? [])
            .slice(asked, asked + 1 + Math.floor(world.random() * BATCH))
            .map((m, i) => ({ ...m, timestamp: String(m.timestamp), offset: String(asked + i) })),
        )
        me.emit('consumer.fetch', {})
        if (
          !eachBatch ||
          messages.length === 0 ||
          !me.assigned.has(partition) ||
          (sought.get(partition) ?? asked) !== asked
        )
          return
        sought.delete(partition)
        positions.set(partition, asked)
        await eachBatch({
          batch: {
            topic: TOPIC,
            partition,
            fetchedOffset: String(asked),
            highWatermark: String(logs[partition]?.length ?? 0),
            messages,
            lastOffset: () => String(asked + messages.length - 1),
          },
          heartbeat,
          isRunning: () => running,
          isStale: () => sought.has(partition),
          resolveOffset: (offset: string) => positions.set(partition, Number(offset) + 1),
        })
      } catch (error) {
        if (!(error instanceof Error) || !error.name.startsWith('KafkaJS'))
          world.faults.push(`${process.name}: a handler threw ${String(error)}`)
      } finally {
        busy.delete(partition)
      }
    }

    return {
      on: (event: string, listener: Listener) =>
        listeners.set(event, [...(listeners.get(event) ?? []), listener]),
      connect: () => ask(() => {}),
      subscribe: async () => {},
      async run(options: { eachBatch: (payload: unknown) => Promise<void> }) {
        if (world.now() < awayUntil) return crash()
        eachBatch = options.eachBatch
        running = true
        members.set(me.id, me)
        me.seenAt = world.now()
        rebalance()
        beat()
        poll()
      },
      pause: (list: { partitions: number[] }[]) =>
        list.forEach(({ partitions }) => partitions.forEach((p) => paused.add(p))),
      resume: (list: { partitions: number[] }[]) =>
        list.forEach(({ partitions }) => partitions.forEach((p) => paused.delete(p))),
      seek: ({ partition, offset }: { partition: number; offset: string }) =>
        sought.set(partition, Number(offset)),
      commitOffsets: (list: { partition: number; offset: string }[]) =>
        ask(() => {
          if (members.has(me.id))
            for (const { partition, offset } of list)
              if (me.assigned.has(partition)) committed.set(partition, Number(offset))
        }),
      async disconnect() {
        running = false
        members.delete(me.id)
        rebalance()
      },
    }
  }

  return { member, rebalance, vanish, committed }
}
