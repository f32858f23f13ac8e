import { parseArgs } from 'node:util'
import { startParts } from '../../lib/local/bring-up.ts'
import { askDown, askStatus } from '../../lib/local/control.ts'
import { stateDir } from '../../lib/local/plan.ts'
import { signal as send } from '../../lib/local/process.ts'
import { livingRecords, type Record } from '../../lib/local/record.ts'
import { stackConfig } from '../../lib/local/servers.ts'
import { log } from '../../lib/log.ts'
import { EXIT, run, Stop } from '../../lib/run.ts'

/**
 * `bun chaos/act/local.ts ACT [NAME…]`: acts on the processes that the supervisor of our own state folder has started,
 * and on no others: a pid counts only together with the start time that was recorded with it.
 *
 *   kill NAME…       SIGKILL, and nobody starts it again until `start`
 *   crash NAME…      SIGKILL; the supervisor starts it again, as it does after any crash
 *   freeze, thaw NAME…   SIGSTOP, SIGCONT
 *   stop NAME…       asks it to end and waits (SIGTERM, and what its grace allows)
 *   start NAME…      starts it and waits until it serves
 *   pid NAME         prints its process id
 *   names LAYER      prints what runs of a layer
 *   env              prints what a program needs to reach this stack, as lines for a shell
 */
await run('chaos', async (abort) => {
  log.configure({ level: 'ERROR', service: 'chaos' })
  const [act, ...names] = parseArgs({ allowPositionals: true }).positionals
  const { config, status } = await stackConfig()
  const dir = stateDir(config)
  if (!status)
    throw new Stop(`Cannot act on ${dir}: nothing runs there: bun start --detach`, EXIT.unavailable)
  const each = (one: (entry: Record) => void) => names.forEach((name) => one(recordOf(dir, name)))

  if (act === 'kill') {
    each((entry) => send(entry, 'SIGKILL'))
    await askDown(dir, names) // within its pause before the next start, so that none follows
  } else if (act === 'crash') each((entry) => send(entry, 'SIGKILL'))
  else if (act === 'freeze') each((entry) => send(entry, 'SIGSTOP'))
  else if (act === 'thaw') names.flatMap((name) => find(dir, name)).forEach((entry) => send(entry, 'SIGCONT'))
  else if (act === 'stop') await askDown(dir, names)
  else if (act === 'start') await startParts(config, names, abort)
  else if (act === 'pid') each((entry) => console.log(entry.pid))
  else if (act === 'names') {
    const parts = (await askStatus(dir))?.parts ?? []
    for (const part of parts) if (part.layer === names[0] && part.state === 'running') console.log(part.name)
  } else if (act === 'env') {
    const env = {
      PORT_OFFSET: config.PORT_OFFSET,
      STATE_DIR: dir,
      SPOOL_DIR: config.SPOOL_DIR.startsWith('/') ? config.SPOOL_DIR : `${process.cwd()}/${config.SPOOL_DIR}`,
      KAFKA_BROKERS: config.KAFKA_BROKERS.join(','),
      DATABASE_URL: config.DATABASE_URL,
      MONITORING_PORT: config.MONITORING_PORT,
      SENSOR_TOPIC: config.SENSOR_TOPIC,
    }
    for (const [key, value] of Object.entries(env))
      console.log(`export ${key}='${String(value).replaceAll("'", `'\\''`)}'`)
  } else throw new Stop(`Cannot act: "${act}" is none of the acts`, EXIT.usage)
})

function find(dir: string, name: string): Record[] {
  return livingRecords(dir).filter((entry) => entry.name === name)
}

function recordOf(dir: string, name: string): Record {
  const [entry] = find(dir, name)
  if (entry) return entry
  throw new Stop(
    `Cannot strike ${name}: no living process of ours has this name in ${dir}/run: bun run status shows what runs`,
    EXIT.fault,
  )
}
