import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * Loaded before a command (`bun --preload`), so that a fresh checkout needs no step before it: installs exactly what the
 * lock file says when node_modules is missing or older than the lock or a patch. Imports nothing that would have to be installed.
 */
const ROOT = resolve(import.meta.dir, '../..')

if (isOutdated()) {
  const started = performance.now()
  process.stderr.write('packages     installing what bun.lock says …\n')
  const install = Bun.spawnSync([process.execPath, 'install', '--frozen-lockfile'], {
    cwd: ROOT,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  if (install.exitCode !== 0) {
    process.stderr.write(
      `Cannot install the packages: bun install ended with ${install.exitCode}: see what it says and run it again\n${install.stderr}`,
    )
    process.exit(1)
  }
  await Bun.write(stamp(), '')
  process.stderr.write(`packages     installed in ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
  process.exit(await runAgain())
}

/** This process has looked for its packages before there were any, and would go on without them (and our patches). */
async function runAgain(): Promise<number> {
  const child = Bun.spawn([process.execPath, Bun.main, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit'],
  })
  process.on('SIGINT', () => {}) // the terminal tells the child too
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return await child.exited
}

function isOutdated(): boolean {
  if (!existsSync(join(ROOT, 'node_modules/kafkajs')) || !existsSync(join(ROOT, 'node_modules/postgres')))
    return true
  if (!existsSync(stamp())) return false // installed by hand
  const installedAt = statSync(stamp()).mtimeMs
  const asked = ['bun.lock', ...readdirSync(join(ROOT, 'patches')).map((file) => `patches/${file}`)]
  return asked.some((file) => statSync(join(ROOT, file)).mtimeMs > installedAt)
}

/** Written after an install of ours: the folder's own time changes with anything put into it. */
function stamp(): string {
  return join(ROOT, 'node_modules/.cache/installed')
}
