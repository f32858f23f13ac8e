import { join } from 'node:path'

/**
 * `bun run test [NAME…]`: every test, on real Kafka and real PostgreSQL that the tests start and stop themselves. Bun's own
 * runner with our time limits; type check, format check and house rules are tests, too (test/house).
 */
const TEST_MS = 30_000
/** Longer failure runs: `chaos/run ci` calls them, and whoever names them. */
const LONG = ['test/failure/**', 'test/controls/*.kafka.test.ts']

const given = process.argv.slice(2)
const chosen = given.length > 0 ? given : LONG.flatMap((glob) => ['--path-ignore-patterns', glob])

const runner = Bun.spawn([process.execPath, 'test', '--timeout', String(TEST_MS), ...chosen], {
  cwd: join(import.meta.dir, '../..'),
  // Bun in a folder of npx is on nobody's path; tests start programs by the name `bun`.
  env: { ...process.env, PATH: `${join(process.execPath, '..')}:${process.env.PATH ?? ''}` },
  stdio: ['inherit', 'inherit', 'inherit'],
})
// The terminal tells the runner too; it stops its servers first.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => runner.kill('SIGTERM'))
process.exit(await runner.exited)
