import { afterAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { maskText } from '../lib/log.ts'

const dir = mkdtempSync(join(tmpdir(), 'factory-log-'))
afterAll(() => rmSync(dir, { recursive: true }))
const LOG = join(import.meta.dir, '../lib/log.ts')

/** Runs a few log calls in a process of their own: what it wrote to stderr and stdout, and its exit code. */
async function logged(
  code: string,
): Promise<{ lines: Record<string, unknown>[]; stderr: string; stdout: string; code: number }> {
  const child = Bun.spawn([process.execPath, '-e', `import { log } from ${JSON.stringify(LOG)}\n${code}`], {
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stderr, stdout, exit] = await Promise.all([
    new Response(child.stderr).text(),
    new Response(child.stdout).text(),
    child.exited,
  ])
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
  return { lines: lines.map((line) => JSON.parse(line)), stderr, stdout, code: exit }
}

describe('log', () => {
  test('writes one ECS line an event on stderr, nothing on stdout', async () => {
    const { lines, stdout } = await logged(`
      log.configure({ service: 'consumer', fields: { 'consumer.id': 'consumer-1' } })
      log.info('batch.stored', { topic: 'sensor-data', partition: 1, count: 10, offset: 5n })`)
    expect(stdout).toBe('')
    expect(lines).toEqual([
      {
        '@timestamp': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        'log.level': 'INFO',
        message: 'batch.stored',
        'ecs.version': expect.any(String),
        'service.name': 'consumer',
        'event.action': 'batch.stored',
        'process.pid': expect.any(Number),
        'consumer.id': 'consumer-1',
        topic: 'sensor-data',
        partition: 1,
        count: 10,
        offset: '5',
      },
    ])
  })

  test('leaves out what is below its level', async () => {
    const { lines } = await logged(`
      log.configure({ level: 'WARN' })
      log.debug('a.a'); log.info('b.b'); log.warn('c.c'); log.error('d.d')`)
    expect(lines.map((line) => line.message)).toEqual(['c.c', 'd.d'])
  })

  test('tells an error with its type, message, cause and stack', async () => {
    const { lines } = await logged(`
      log.error('x.failed', { error: new TypeError('outer', { cause: new Error('inner') }) })
      log.error('y.failed', { error: 'words' })`)
    expect(lines[0]).toMatchObject({ 'error.type': 'TypeError', 'error.message': 'outer: inner' })
    expect(String(lines[0]?.['error.stack_trace'])).toContain('TypeError: outer')
    expect(lines[1]).toMatchObject({ 'error.message': 'words' })
  })

  test('never shows a secret, wherever it is', async () => {
    const { stderr } = await logged(`
      const url = 'postgresql://factory_user:canary@localhost:5432/x'
      log.info('a.a', { url, password: 'canary', apiToken: 'canary', authorization: 'Bearer canary' })
      log.info('b.b', { config: { POSTGRES_PASSWORD: 'canary', urls: [url, { url }] }, list: [{ cookie: 'canary' }] })
      log.info('c.c', { query: 'postgresql://localhost/x?user=a&password=canary&x=1' })
      log.error('d.d', { error: new Error('cannot reach ' + url, { cause: new Error(url) }) })
      log.error('e.e', { error: 'cannot reach ' + url })`)
    expect(stderr.split('\n').filter((line) => line.startsWith('{')).length).toBe(5)
    expect(stderr).not.toContain('canary')
    expect(stderr).toContain('localhost:5432/x')
  })

  test('survives whatever it is given', async () => {
    const { lines, code } = await logged(`
      const round = { name: 'round' }; round.self = round
      const deep = {}; let at = deep; for (let i = 0; i < 100_000; i++) at = at.x = {}
      log.info('a.a', { round })
      log.info('b.b', { nested: { big: 5n, map: new Map([[1, 2]]), nothing: undefined, at: new Date(0), no: new Date(NaN) } })
      log.info('c.c', { deep })
      log.info('d.d', { get trap() { throw new Error('trap') } })
      log.info('e.e', { text: 'line\\nbreak \\u001b[31m \\ud800' })
      log.info('f.f')`)
    expect(code).toBe(0)
    expect(lines.map((line) => line.message)).toEqual(['a.a', 'b.b', 'c.c', 'd.d', 'e.e', 'f.f'])
  })

  test('a long text costs what it is long, and is cut', async () => {
    const { lines } = await logged(`log.info('a.a', { text: 'x'.repeat(3_000_000) })`)
    expect(String(lines[0]?.text).length).toBeLessThan(17_000)
    expect(String(lines[0]?.text)).toContain('(3000000 characters)')
  })

  test('keeps the lines in LOG_FILE too, rotated at 10 MB, five files', async () => {
    const file = join(dir, 'logs', 'factory.log')
    const { lines } = await logged(`
      log.configure({ file: ${JSON.stringify(file)} })
      process.stderr.write = () => true
      for (let i = 0; i < 4700; i++) log.info('big.line', { i, text: 'x'.repeat(16_000) })`)
    expect(lines).toEqual([])
    expect(existsSync(`${file}.6`)).toBe(false)
    for (const name of [file, ...[1, 2, 3, 4, 5].map((n) => `${file}.${n}`)]) {
      expect(statSync(name).size).toBeLessThanOrEqual(10 * 1024 * 1024)
    }
    const last = readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? ''
    expect(JSON.parse(last).i).toBe(4699)
    const numbers = [`${file}.1`, file].flatMap((name) => readFileSync(name, 'utf8').trim().split('\n'))
    const kept = numbers.map((line) => JSON.parse(line).i as number)
    expect(kept).toEqual(kept.map((_, i) => (kept[0] ?? 0) + i))
  }, 60_000)

  test('a log file that cannot be written is said once, and the process goes on', async () => {
    const { lines, code } = await logged(`
      log.configure({ file: '/dev/full' })
      log.info('a.a'); log.info('b.b'); log.info('c.c')`)
    expect(code).toBe(0)
    expect(lines.map((line) => line.message)).toEqual(['a.a', 'log.file_failed', 'b.b', 'c.c'])
  })
})

describe('maskText()', () => {
  test.each([
    ['postgres://u:p@h/x', 'postgres://***@h/x'],
    ['two: http://a:b@c and https://d@e/f', 'two: http://***@c and https://***@e/f'],
    ['mail me@example.com', 'mail me@example.com'],
    ['http://h/x?password=p&y=1', 'http://h/x?password=***&y=1'],
  ])('%s → %s', (text, masked) => {
    expect(maskText(text)).toBe(masked)
  })
})
