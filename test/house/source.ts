import { readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'

/** The tree as the house rules see it: what belongs to the product, read from the disk. */
export const ROOT = join(import.meta.dir, '../..')

const PLACES = [
  '*',
  '.ci/*',
  '{lib,test,bench,chaos,config,docs,patches,sql}/**/*',
  '{.gitignore,.dockerignore,.env.example}',
]
const NOT_OURS = /^(bun\.lock|node_modules\/|.*\.(png|jpg|svg|parquet|csv|ndjson)$)/

/** Paths from the root, sorted; `pattern` narrows them. */
export function files(pattern = /./): string[] {
  const all = PLACES.flatMap((place) => [
    ...new Bun.Glob(place).scanSync({ cwd: ROOT, onlyFiles: true, dot: place.includes('.') }),
  ])
  return [...new Set(all)].filter((file) => !isPrivate(file) && pattern.test(file)).sort()
}

/** What a person keeps here beside the product, and what was made by running it (.gitignore). */
function isPrivate(file: string): boolean {
  return NOT_OURS.test(file) || file === '.env' || file.endsWith('.log')
}

export function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

/** The files that a module imports, from the root: `lib/run.ts`; packages as they are written. */
export function importsOf(file: string): string[] {
  const text = withoutComments(read(file))
  const found = [...text.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].map((m) => m[1] ?? '')
  return found.map((target) => (target.startsWith('.') ? normalize(join(file, '..', target)) : target))
}

/** TypeScript without comments; strings stay. */
export function withoutComments(text: string): string {
  return scan(text, true)
}

/** TypeScript without comments and with empty strings: what is left is code. */
export function code(text: string): string {
  return scan(text, false)
}

/** One token a step; the code inside `${…}` of a template is code, too. Line breaks stay, so that lines can be named. */
function scan(text: string, keepStrings: boolean): string {
  let out = ''
  const templates: number[] = [] // depth of braces at which each open template goes on
  let depth = 0
  for (let i = 0; i < text.length;) {
    const rest = text.slice(i, i + 2)
    if (rest === '//' || rest === '/*') {
      const end = rest === '//' ? text.indexOf('\n', i) : text.indexOf('*/', i) + 2
      const to = end < 2 ? text.length : end
      out += text.slice(i, to).replace(/[^\n]/g, '')
      i = to
    } else if (text[i] === "'" || text[i] === '"') {
      const to = endOfString(text, i)
      out += keepStrings ? text.slice(i, to) : "''"
      i = to
    } else if (text[i] === '`' || (text[i] === '}' && templates.at(-1) === depth)) {
      if (text[i] === '}') templates.pop()
      let to = i + 1
      while (to < text.length && text[to] !== '`' && text.slice(to, to + 2) !== '${')
        to += text[to] === '\\' ? 2 : 1
      if (text[to] === '$') templates.push(depth)
      to += text[to] === '$' ? 2 : 1
      out += keepStrings ? text.slice(i, to) : ' ` '
      i = to
    } else if (text[i] === '/' && /[(,=:[&|?{};\n]\s*$|[^\w)\]]!\s*$|\breturn\s*$/.test(out.slice(-20))) {
      const to = endOfRegex(text, i)
      out += keepStrings ? text.slice(i, to) : '/./'
      i = to
    } else {
      if (text[i] === '{') depth++
      if (text[i] === '}') depth--
      out += text[i++]
    }
  }
  return out
}

function endOfString(text: string, from: number): number {
  let i = from + 1
  while (i < text.length && text[i] !== text[from] && text[i] !== '\n') i += text[i] === '\\' ? 2 : 1
  return i + 1
}

function endOfRegex(text: string, from: number): number {
  let inClass = false
  let i = from + 1
  for (; i < text.length && text[i] !== '\n' && (inClass || text[i] !== '/'); i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '[') inClass = true
    else if (text[i] === ']') inClass = false
  }
  return i + 1
}

/** `file:line: what` of every place that matches. */
export function places(file: string, text: string, pattern: RegExp): string[] {
  const lines = text.split('\n')
  return lines.flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : []))
}
