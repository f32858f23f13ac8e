import { ask, closeSql, connect, type Sql } from '../db/connect.ts'
import { log } from '../log.ts'

/**
 * The monitor's own small pool, apart from the consumers'. A server that went silent (frozen, cut off) leaves
 * connections that never settle, so a pool that has not answered for `RESET_MS` is thrown away and made anew: after the
 * server is back the first answer comes at once instead of after TCP's retransmission.
 */
export interface Database {
  /** the pool of the moment: ask for it each time, never keep it */
  sql(): Sql
  /** resolves when the server answers; rejects with the fault, within 2 s */
  probe(): Promise<void>
  /** calls back with the writer's text whenever one has notified one of the channels */
  onNotify(channels: readonly string[], callback: (channel: string, text: string) => void): void
  close(): Promise<void>
}

const PROBE_MS = 2000
const RESET_MS = 10_000

export function openDatabase(url: string, clock: () => number = Date.now): Database {
  let pool = open()
  let answeredAt = clock()
  let listening: Sql | null = null
  let wanted: { channels: readonly string[]; callback: (channel: string, text: string) => void } | null = null
  let closed = false

  function open(): Sql {
    return connect(url, { name: 'monitor', role: 'monitor', max: 4, statementTimeoutMs: 5000 })
  }
  function reset(): void {
    log.warn('database.pool_renewed', { silent_ms: clock() - answeredAt })
    const old = pool
    pool = open()
    answeredAt = clock()
    void closeSql(old)
  }
  async function listen(): Promise<void> {
    if (!wanted || listening === pool || closed) return
    const { channels, callback } = wanted
    const mine = pool
    listening = mine
    try {
      for (const channel of channels) {
        await ask(
          `listen to ${channel}`,
          mine.listen(channel, (text) => callback(channel, text)),
          PROBE_MS,
        )
      }
    } catch (error) {
      log.debug('database.listen_failed', { error })
      if (listening === mine) listening = null
    }
  }
  return {
    sql: () => pool,
    async probe() {
      try {
        await ask('reach PostgreSQL', pool`select 1`, PROBE_MS)
        answeredAt = clock()
        void listen()
      } catch (error) {
        if (!closed && clock() - answeredAt > RESET_MS) reset()
        throw error
      }
    },
    onNotify(channels, callback) {
      wanted = { channels, callback }
      void listen()
    },
    async close() {
      closed = true
      await closeSql(pool)
    },
  }
}
