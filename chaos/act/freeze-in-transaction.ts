import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect } from '../../lib/db/connect.ts'
import { log } from '../../lib/log.ts'
import { EXIT, run } from '../../lib/run.ts'
import { freezeInTransaction } from './freeze.ts'

/**
 * `bun chaos/act/freeze-in-transaction.ts CONSUMER PID`: leaves it stopped (SIGSTOP) with a transaction open; the caller
 * wakes it. exit 1: it was never caught in one, and it runs.
 */
await run('freeze', async () => {
  const [name = '', pid = ''] = process.argv.slice(2)
  log.configure({ level: 'ERROR', service: 'chaos' })
  const sql = connect(parseConfig().DATABASE_URL, { name: 'chaos', max: 1 })
  try {
    const kill = (signal: 'SIGSTOP' | 'SIGCONT') => void process.kill(Number(pid), signal)
    return (await freezeInTransaction(sql, { name, kill }, Math.random)) ? EXIT.ok : EXIT.fault
  } finally {
    await closeSql(sql)
  }
})
