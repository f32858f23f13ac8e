import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { commandOf } from './process.ts'

export interface Listener {
  port: number
  /** null where the owner belongs to another user and can't be seen */
  pid: number | null
  command: string | null
}

/** Who listens on any of these ports now. */
export async function listenersOn(ports: number[]): Promise<Listener[]> {
  const taken: number[] = []
  for (const port of ports) if (!(await canListen(port))) taken.push(port)
  if (taken.length === 0) return []
  const owners = existsSync('/proc/net/tcp') ? ownersFromProc(taken) : ownersFromLsof(taken)
  return taken.map((port) => {
    const pid = owners.get(port) ?? null
    return { port, pid, command: pid === null ? null : commandOf(pid) }
  })
}

/** The message about ports that are taken: which, by whom, and how to move all of ours. */
export function portReport(taken: (Listener & { what: string })[], portOffset: number): string {
  const lines = taken.map(({ port, what, pid, command }) => {
    const owner = pid === null ? 'a process of another user' : `pid ${pid}: ${shorten(command ?? 'unknown')}`
    return `  port ${port} (${what}) is taken by ${owner}`
  })
  const next = portOffset + 10_000 > 40_000 ? 1000 : portOffset + 10_000
  return `Cannot start: ${taken.length} port(s) are taken\n${lines.join('\n')}\nEnd what holds them, or move all ports of this plant: PORT_OFFSET=${next} bun start`
}

/** Ports that nobody listens on now, all different, below the range from which outgoing connections take theirs. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let tries = 0; found.size < count && tries < 1000; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    if (!found.has(port) && (await canListen(port))) found.add(port)
  }
  if (found.size < count) throw new Error(`Cannot find ${count} free ports between 10000 and 30000`)
  return [...found]
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** A command line in a message: without the kilometre of class path. */
export function shorten(command: string): string {
  const words = command.split(' ').map((word) => (word.length > 80 ? `${word.slice(0, 24)}…` : word))
  const line = words.join(' ')
  return line.length > 160 ? `${line.slice(0, 60)} … ${line.slice(-90)}` : line
}

/** port → pid by /proc: the table of sockets gives the inode of a listening one, the open files of a process name it. */
function ownersFromProc(ports: number[]): Map<number, number> {
  const inodes = new Map<string, number>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    if (!existsSync(table)) continue
    for (const socket of listeningSockets(readFileSync(table, 'utf8'))) {
      if (ports.includes(socket.port)) inodes.set(`socket:[${socket.inode}]`, socket.port)
    }
  }
  const owners = new Map<number, number>()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const target of openFiles(pid)) {
      const port = inodes.get(target)
      if (port !== undefined && !owners.has(port)) owners.set(port, Number(pid))
    }
  }
  return owners
}

/** Lines of /proc/net/tcp in state 0A (LISTEN). */
export function listeningSockets(table: string): { port: number; inode: string }[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((field) => field[3] === '0A')
    .map((field) => ({ port: Number.parseInt(field[1]?.split(':')[1] ?? '', 16), inode: field[9] ?? '' }))
}

function openFiles(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
      } catch {
        return []
      }
    })
  } catch {
    return [] // another user's, or gone in this moment
  }
}

function ownersFromLsof(ports: number[]): Map<number, number> {
  const owners = new Map<number, number>()
  for (const port of ports) {
    const lsof = spawnSync('lsof', ['-t', '-sTCP:LISTEN', `-iTCP:${port}`], { encoding: 'utf8' })
    const pid = Number(lsof.stdout?.trim().split('\n')[0])
    if (pid > 0) owners.set(port, pid)
  }
  return owners
}
