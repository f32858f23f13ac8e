import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '../..')

/** The library as its makers publish it, to hold ours against: a copy from which our patch has been taken back. */
export function stockKafkajs(): { load(path: string): any; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'kafkajs-'))
  cpSync(join(ROOT, 'node_modules/kafkajs'), dir, { recursive: true })
  const patch = join(ROOT, 'patches/kafkajs@2.2.4.patch')
  const taken = Bun.spawnSync(['git', 'apply', '--reverse', patch], {
    cwd: dir,
    env: { PATH: process.env.PATH, GIT_CEILING_DIRECTORIES: join(dir, '..') }, // nobody's repository, wherever this lies
    stderr: 'pipe',
  })
  if (!taken.success) throw new Error(`Cannot take the patch back: ${taken.stderr.toString()}`)
  const require = createRequire(join(dir, 'package.json'))
  return {
    load: (path) => require(join(dir, 'src', path)),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}
