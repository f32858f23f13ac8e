import { expect, test } from 'bun:test'
import { join } from 'node:path'

/** Guards the short way in bytes, not in seconds: those are the same on a busy machine. */
async function bytesAReading(way: 'by-form' | 'decoded'): Promise<number> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'allocations.ts'), way], {
    env: { ...process.env, BUN_JSC_useGC: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = await new Response(child.stdout).text()
  expect(await child.exited).toBe(0)
  return Number(said)
}

test('a message of known form costs its row and next to nothing else: 255 bytes measured, 5,500 where it is decoded', async () => {
  const byForm = await bytesAReading('by-form')
  expect(byForm).toBeGreaterThan(100) // the row itself: less would mean that nothing was measured
  expect(byForm).toBeLessThan(400)
  expect(await bytesAReading('decoded')).toBeGreaterThan(10 * byForm)
}, 60_000)
