import { afterAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { touchAlive } from '../lib/alive.ts'

const dir = mkdtempSync(join(tmpdir(), 'factory-alive-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('touchAlive() makes the file, and makes an old one young', () => {
  const file = join(dir, 'alive')
  touchAlive(file)
  expect(readFileSync(file, 'utf8')).toMatch(/^\d{4}-\d\d-\d\dT.*Z\n$/)
  utimesSync(file, 1000, 1000)
  touchAlive(file)
  expect(Date.now() - statSync(file).mtimeMs).toBeLessThan(60_000)
})

test('touchAlive() without a file does nothing, and never stops the program', () => {
  touchAlive(undefined)
  const nowhere = join(dir, 'missing', 'alive')
  expect(() => touchAlive(nowhere)).not.toThrow()
  expect(existsSync(nowhere)).toBe(false)
})
