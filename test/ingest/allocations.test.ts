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

test('a message of known form leaves next to nothing behind: 37 bytes measured, 5,300 where it is decoded', async () => {
  expect(await bytesAReading('by-form')).toBeLessThan(120)
  expect(await bytesAReading('decoded')).toBeGreaterThan(2000) // less would mean that nothing is measured
}, 60_000)
