import { expect, test } from 'bun:test'
import { join } from 'node:path'

/** Guards the short way in bytes, not in seconds: those are the same on a busy machine. */
async function bytesAReading(way: 'by-form' | 'judged' | 'decoded'): Promise<number> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'allocations.ts'), way], {
    env: { ...process.env, BUN_JSC_useGC: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = await new Response(child.stdout).text()
  expect(await child.exited).toBe(0)
  return Number(said)
}

// Measured: 12 to 17 bytes without rules, 70 with all detectors, 5,800 where the message is decoded.
test('a message of known form leaves next to nothing behind, with the detectors, too', async () => {
  expect(await bytesAReading('by-form')).toBeLessThan(60)
  expect(await bytesAReading('judged')).toBeLessThan(140)
  expect(await bytesAReading('decoded')).toBeGreaterThan(2000) // less would mean that nothing is measured
}, 60_000)
