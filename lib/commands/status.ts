import { styleText } from 'node:util'
import { maskText } from '../log.ts'
import { askStatus, type StackStatus } from '../local/control.ts'
import { stateDir } from '../local/plan.ts'
import { livingRecords } from '../local/record.ts'
import { stackConfig } from '../local/servers.ts'
import type { PartStatus, State } from '../local/supervisor.ts'
import { EXIT, sleep } from '../run.ts'
import { command } from './command.ts'

const HELP = `bun run status: which processes of the local stack run, since when, and how often they were started again.

  --watch   again every second until Ctrl-C
  --json    as JSON

exit 0 all that was asked for runs · 1 nothing runs, or something is down`

const COLOUR: Record<State, 'reset' | 'yellow' | 'red' | 'gray'> = {
  running: 'reset',
  finished: 'gray',
  stopped: 'gray',
  starting: 'yellow',
  waiting: 'red',
  stopping: 'yellow',
  refused: 'red',
}

await command({
  help: HELP,
  options: { watch: { type: 'boolean' }, json: { type: 'boolean' } },
  async main({ watch, json }, _words, signal) {
    const dir = stateDir((await stackConfig()).config)
    let code: number = EXIT.ok
    do {
      const status = await askStatus(dir)
      const lost = status ? [] : livingRecords(dir).map((one) => one.name)
      if (watch && !json && process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[2J')
      console.log(json ? toJson(status, lost) : toText(status, lost))
      code = status?.parts.every(isFine) ? EXIT.ok : EXIT.fault
      if (watch) await sleep(1000, signal)
    } while (watch && !signal.aborted)
    return code
  },
})

function isFine(part: PartStatus): boolean {
  return ['running', 'finished', 'stopped'].includes(part.state)
}

function toJson(status: StackStatus | null, lost: string[]): string {
  if (!status) return JSON.stringify({ running: false, without_supervisor: lost })
  const { databaseUrl, ...rest } = status
  return JSON.stringify({ running: true, ...rest, database: maskText(databaseUrl) })
}

function toText(status: StackStatus | null, lost: string[]): string {
  if (!status) {
    return lost.length === 0
      ? 'Nothing is running. bun start brings everything up.'
      : `The supervisor was killed; still running: ${lost.join(', ')}. bun start takes them over, bun run stop ends them.`
  }
  const rows = status.parts.map((part) => [
    part.name,
    part.state,
    part.pid === null ? '-' : String(part.pid),
    part.since === null ? '-' : age(Date.now() - part.since),
    String(part.restarts),
    part.ports.join(' '),
    part.state === 'running'
      ? ''
      : (part.error ?? (part.lastExitCode === null ? '' : `ended with ${part.lastExitCode}`)),
  ])
  const table = [['NAME', 'STATE', 'PID', 'FOR', 'RESTARTS', 'PORTS', ''], ...rows]
  const widths = table[0]?.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0))) ?? []
  const lines = table.map((row, n) => {
    const text = row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
    const state = status.parts[n - 1]?.state
    return state ? styleText(COLOUR[state], text, { stream: process.stdout }) : text
  })
  return `fleet ${status.fleet} · ${status.dashboard} · ${status.brokers.join(',')} · ${maskText(status.databaseUrl)}\n\n${lines.join('\n')}`
}

function age(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`
}
