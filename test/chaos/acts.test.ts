import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startProxy } from '../../chaos/act/proxy.ts'

const ROOT = join(import.meta.dir, '../..')

test('the proxy delays, cuts and slows down, and keeps every byte in its place', async () => {
  const pieces: number[] = []
  const echo = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, data) {
        pieces.push(data.length)
        socket.write(data)
      },
    },
  })
  const proxy = await startProxy(0, echo.port, {
    latencyMs: 60,
    jitterMs: 40,
    sliceBytes: 100,
    rateBytes: 20_000,
  })
  const sent = Buffer.from(Array.from({ length: 2000 }, (_, i) => i % 251))
  const began = performance.now()
  const back = await new Promise<Buffer>((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port: proxy.port })
    let got = Buffer.alloc(0)
    socket.on('error', reject)
    socket.on('data', (data: Buffer) => {
      got = Buffer.concat([got, data])
      if (got.length === sent.length) {
        socket.destroy()
        resolve(got)
      }
    })
    for (let at = 0; at < sent.length; at += 500) socket.write(sent.subarray(at, at + 500))
  })
  const tookMs = performance.now() - began
  proxy.close()
  echo.stop(true)
  expect(back.equals(sent)).toBe(true)
  // 20 ms of latency at the least each way, and 2,000 bytes at 20,000 a second
  expect(tookMs).toBeGreaterThan(130)
  expect(pieces.length).toBeGreaterThan(4)
})

test('a clock that jumps: the program goes on with another time, and back again', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'clock-'))
  const file = join(dir, 'seconds')
  writeFileSync(file, '3600')
  const program = `
    const hours = () => Math.round((Math.max(Date.now(), +new Date()) - performance.timeOrigin - performance.now()) / 3600000)
    const seen = [hours()]
    require('fs').writeFileSync(${JSON.stringify(file)}, '-7200')
    const until = performance.now() + 5000
    while (hours() !== -2 && performance.now() < until) await Bun.sleep(50)
    seen.push(hours(), new Date(0).getTime(), new Date() instanceof Date)
    console.log(JSON.stringify(seen))`
  writeFileSync(join(dir, 'program.ts'), program)
  const child = Bun.spawn(
    [process.execPath, '--preload', join(ROOT, 'chaos/act/clock.ts'), join(dir, 'program.ts')],
    { env: { ...process.env, CHAOS_CLOCK: file }, stdout: 'pipe' },
  )
  expect(JSON.parse(await new Response(child.stdout).text())).toEqual([1, -2, 0, true])
  rmSync(dir, { recursive: true, force: true })
})
