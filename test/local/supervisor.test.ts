import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Layer, Part } from '../../lib/local/part.ts'
import { isAlive } from '../../lib/local/process.ts'
import { endRecorded, livingRecords } from '../../lib/local/record.ts'
import { createSupervisor, type PartStatus, type Supervisor } from '../../lib/local/supervisor.ts'

let dir: string
let supervisor: Supervisor
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'factory-supervisor-'))
  supervisor = createSupervisor(dir)
})
afterEach(async () => {
  await supervisor.down(() => true)
  await endRecorded(dir, livingRecords(dir))
  rmSync(dir, { recursive: true, force: true })
})

test('a killed process is noticed and started again', async () => {
  supervisor.up(part('consumer-1', 'consumers', 'sleep 60'))
  const first = await until('consumer-1', (one) => one.state === 'running')
  process.kill(first.pid!, 'SIGKILL')
  const second = await until('consumer-1', (one) => one.state === 'running' && one.pid !== first.pid)
  expect(second.restarts).toBe(1)
  expect(second.lastExitCode).toBe(137)
})

test('a fleet that is done, and a refused configuration, are left alone', async () => {
  supervisor.up({ ...part('soda', 'producers', 'exit 0'), mayFinish: true })
  supervisor.up(part('monitor', 'monitoring', 'exit 78'))
  await until('soda', (one) => one.state === 'finished')
  await until('monitor', (one) => one.state === 'refused')
  expect(supervisor.status().map((one) => one.restarts)).toEqual([0, 0])
})

test('a part whose preparation fails is tried again, and its reason shown', async () => {
  let tries = 0
  const prepare = async () => {
    if (++tries < 2) throw new Error('Cannot prepare: no room')
  }
  supervisor.up({ ...part('kafka1', 'infra', 'sleep 60'), prepare })
  await until('kafka1', (one) => one.error === 'Cannot prepare: no room')
  await until('kafka1', (one) => one.state === 'running' && one.error === null)
  expect(tries).toBe(2)
})

test('a new supervisor takes living processes over, and still restarts them', async () => {
  const first = part('consumer-1', 'consumers', 'sleep 60')
  supervisor.up(first)
  const before = await until('consumer-1', (one) => one.state === 'running')
  // the first supervisor is as good as killed: it is not asked any more, and its restart is not waited for
  const second = createSupervisor(dir)
  second.up(first)
  const taken = await until('consumer-1', (one) => one.state === 'running', second)
  expect(taken.pid).toBe(before.pid)
  const [entry] = livingRecords(dir)
  expect(isAlive(entry!)).toBe(true)
  await second.down(() => true)
  expect(isAlive(entry!)).toBe(false)
})

test('a process that was started otherwise is replaced, not taken over', async () => {
  supervisor.up(part('monitor', 'monitoring', 'sleep 60'))
  const before = await until('monitor', (one) => one.state === 'running')
  const second = createSupervisor(dir)
  second.up(part('monitor', 'monitoring', 'sleep 61'))
  const after = await until('monitor', (one) => one.state === 'running', second)
  expect(after.pid).not.toBe(before.pid)
  await second.down(() => true)
})

test('down() stops sensors before consumers before servers, and leaves no record', async () => {
  const order: string[] = []
  for (const [name, layer] of [
    ['postgres', 'infra'],
    ['consumer-1', 'consumers'],
    ['plant', 'producers'],
  ] as const) {
    supervisor.up(
      part(
        name,
        layer,
        `trap 'echo ${name} >> ${dir}/order; exit 0' TERM; echo up > ${dir}/${name}.up; while :; do sleep 0.05; done`,
      ),
    )
  }
  for (const name of ['postgres', 'consumer-1', 'plant']) await seen(join(dir, `${name}.up`))
  await supervisor.down(() => true)
  order.push(...(await Bun.file(join(dir, 'order')).text()).trim().split('\n'))
  expect(order).toEqual(['plant', 'consumer-1', 'postgres'])
  expect(readdirSync(join(dir, 'run'))).toEqual([])
})

function part(name: string, layer: Layer, script: string): Part {
  return {
    name,
    layer,
    mayFinish: false,
    ports: [],
    prepare: async () => {},
    start: () => ({ argv: ['sh', '-c', `${script}; true`], env: { PATH: process.env.PATH ?? '' }, cwd: '/' }),
    ready: async () => true,
    stop: { signal: 'SIGTERM', graceMs: 2000 },
  }
}

async function until(
  name: string,
  holds: (one: PartStatus) => boolean,
  from = supervisor,
): Promise<PartStatus> {
  const deadline = performance.now() + 10_000
  while (true) {
    const found = from.status().find((one) => one.name === name)
    if (found && holds(found)) return found
    if (performance.now() > deadline) throw new Error(`waited 10 s; last seen ${JSON.stringify(found)}`)
    await Bun.sleep(10)
  }
}

async function seen(file: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await Bun.file(file).exists())) {
    if (performance.now() > deadline) throw new Error(`waited 10 s for ${file}`)
    await Bun.sleep(10)
  }
}
