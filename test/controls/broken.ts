import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One place of the source, as it is and as a worse program would have it. */
export interface Damage {
  file: string
  from: string
  to: string
}

const ROOT = join(import.meta.dir, '../..')
const TREE = [
  'lib',
  'sql',
  'config',
  'patches',
  'test',
  'chaos',
  'package.json',
  'tsconfig.json',
  'bunfig.toml',
  'producer.ts',
  'consumer.ts',
  'monitor.ts',
]

/**
 * A copy of the source tree with these damages: the product itself has no switch for them. Throws where a text is not
 * there exactly once: then the source has moved on, and the control must follow.
 */
export function breakTree(damages: readonly Damage[]): { root: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), 'broken-'))
  for (const name of TREE.filter((n) => readdirSync(ROOT).includes(n)))
    cpSync(join(ROOT, name), join(root, name), { recursive: true })
  mkdirSync(root, { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  for (const damage of damages)
    writeFileSync(join(root, damage.file), damaged(readFileSync(join(root, damage.file), 'utf8'), damage))
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) }
}

/** The text with the damage done. */
export function damaged(text: string, { file, from, to }: Damage): string {
  const found = text.split(from).length - 1
  if (found !== 1) throw new Error(`Cannot damage ${file}: the text is there ${found} times: ${from}`)
  return text.replace(from, () => to)
}
