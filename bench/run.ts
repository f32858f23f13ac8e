import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT } from '../lib/run.ts'

/** bun run bench [NAME] [options]: each file beside this one is a benchmark, and prints its figure, the machine and the settings. */
const names = readdirSync(import.meta.dir)
  .filter((file) => /^[a-z-]+\.ts$/.test(file) && !['run.ts', 'machine.ts'].includes(file))
  .map((file) => file.replace('.ts', ''))
const [name = '--help', ...args] = process.argv.slice(2)

if (name === '--help' || !names.includes(name)) {
  const help = `bun run bench NAME [--help]: one of ${names.join(', ')}`
  if (name === '--help') console.log(help)
  else console.error(`Cannot run the benchmark "${name}": there is none of this name: ${help}`)
  process.exit(name === '--help' ? EXIT.ok : EXIT.usage)
}

const child = Bun.spawn([process.execPath, join(import.meta.dir, `${name}.ts`), ...args], {
  stdio: ['inherit', 'inherit', 'inherit'],
})
process.on('SIGINT', () => child.kill('SIGINT'))
process.on('SIGTERM', () => child.kill('SIGTERM'))
process.exit(await child.exited)
