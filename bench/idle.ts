import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeSql, connect } from '../lib/db/connect.ts'
import { askStatus, type StackStatus } from '../lib/local/control.ts'
import { EXIT, run, sleep, Stop } from '../lib/run.ts'
import { busySeconds, cpuSeconds } from './ground/cpu.ts'
import { residentOf } from './ground/memory.ts'
import { settingsOf } from './ground/settings.ts'
import { showTable } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench idle: the plant as bun start brings it up, at its own rate, and nobody looks: how long the start takes (with new
data, and once more with what is there), what each process takes of a core, and the memory that it has. Data in a temporary
folder; PORT_OFFSET moves every port, as with bun start.

  --after N      seconds from the start to the measurement (default 180: by then most is compiled that will be)
  --seconds N    how long is measured (default 60)
  --help         this text

of_a_core: shares in percent. "ours" are the Bun processes: the plant, consumers, monitor, and the supervisor that keeps them.
other_work: processor cores that something else on this machine took meanwhile. exit 0 measured · 1 the stack did not start, or Ctrl-C`

await run('bench', async (signal) => {
  const settings = settingsOf(HELP, { after: 180, seconds: 60 })
  const before = machine()
  const dir = mkdtempSync(join(tmpdir(), 'bench-idle-'))
  try {
    const fresh = await start(dir)
    await command(dir, 'stop')
    const again = await start(dir)
    await sleep(settings.after * 1000, signal)
    const figures = await measure(again.status, settings.seconds, signal)
    if (signal.aborted) return EXIT.fault // a minute that was cut short says nothing
    const start_seconds = { new_data: fresh.seconds, again: again.seconds }
    showTable(
      Object.entries(figures.of_a_core).map(([process, percent]) => ({
        process,
        'percent of a core': percent,
        MiB: figures.resident_mib[process] ?? '',
      })),
    )
    console.log(
      JSON.stringify({ bench: 'idle', start_seconds, ...figures, settings, machine: before }, null, 2),
    )
    return EXIT.ok
  } finally {
    await command(dir, 'stop')
    rmSync(dir, { recursive: true, force: true })
  }
})

async function command(dir: string, name: string, ...args: string[]): Promise<number> {
  const file = join(import.meta.dir, `../lib/commands/${name}.ts`)
  const env = { ...process.env, STATE_DIR: dir }
  return Bun.spawn([process.execPath, file, ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }).exited
}

/** From the command until a reading that this start's plant has measured is in PostgreSQL. */
async function start(
  dir: string,
): Promise<{ seconds: { up: number; first_reading: number }; status: StackStatus }> {
  const began = performance.now()
  const since = () => Number(((performance.now() - began) / 1000).toFixed(1))
  const startedAt = new Date()
  const code = await command(dir, 'start', '--detach')
  const up = since()
  const status = await askStatus(dir)
  if (code !== EXIT.ok || !status) throw new Stop(`Cannot measure: bun start ended with ${code}`, EXIT.fault)
  const sql = connect(status.databaseUrl, { name: 'bench', max: 1 })
  try {
    while ((await sql`select from readings where measured_at > ${startedAt} limit 1`).length === 0) {
      if (since() > 60) throw new Stop('Cannot measure: no reading is stored after 60 s', EXIT.fault)
      await sleep(50)
    }
    return { seconds: { up, first_reading: since() }, status }
  } finally {
    await closeSql(sql)
  }
}

async function measure(status: StackStatus, seconds: number, signal: AbortSignal) {
  const isOurs = (one: { layer: string }) => one.layer !== 'infra'
  const look = () => {
    const all = cpuSeconds(status.pid) // the supervisor and its children, which the parts are
    const parts = status.parts.map((part) => ({ ...part, cpu: cpuSeconds(part.pid ?? 0) }))
    const cpu = all - parts.reduce((sum, part) => sum + part.cpu, 0)
    const supervisor = { name: 'supervisor', layer: 'ours', pid: status.pid, cpu }
    return { at: performance.now(), busy: busySeconds(), processes: [supervisor, ...parts] }
  }
  const first = look()
  await sleep(seconds * 1000, signal)
  const last = look()
  const elapsed = (last.at - first.at) / 1000
  const used = last.processes.map((one, i) => ({
    ...one,
    share: (one.cpu - (first.processes[i]?.cpu ?? 0)) / elapsed,
  }))
  const sum = (list: typeof used) => list.reduce((total, one) => total + one.share, 0)
  const percent = (share: number) => Number((share * 100).toFixed(2))
  const of_a_core: Record<string, number> = { ours: percent(sum(used.filter(isOurs))) }
  const resident_mib: Record<string, number> = {}
  for (const one of used) {
    of_a_core[one.name] = percent(one.share)
    if (isOurs(one)) resident_mib[one.name] = Math.round(residentOf(one.pid ?? 0) / 1024 ** 2)
  }
  return {
    of_a_core,
    resident_mib,
    other_work: Number(((last.busy - first.busy) / elapsed - sum(used)).toFixed(2)),
  }
}
