import { environment, parseConfig, type Environment } from './config.ts'

/** One variable of the environment, as people read of it. */
export interface Variable {
  name: keyof Environment
  section: string
  meaning: string
  /** as one would write it in `.env`; empty where without it something is simply off or unset */
  shownDefault: string
  secret: boolean
}

/** The whole configuration in the order of the schema: what .env.example and the README's table are made of. */
export function variables(): Variable[] {
  const effective = parseConfig({})
  return Object.entries(environment.shape).map(([key, type]) => {
    const name = key as keyof Environment
    const { section, meaning, secret } = type.meta() as { section: string; meaning: string; secret: boolean }
    return { name, section, meaning, secret, shownDefault: shown(effective[name], meaning) }
  })
}

/** Durations and sizes are numbers inside and `2s`, `256MiB` outside: their meaning says `default 2s`. */
function shown(value: unknown, meaning: string): string {
  const said = meaning.match(/\bdefault ([^\s,]+)/)?.[1] ?? ''
  if (value === undefined) return said
  if (typeof value === 'number' && said !== '')
    return said.match(/^\d/) && /[a-z]/i.test(said) ? said : String(value)
  return Array.isArray(value) ? value.join(',') : String(value)
}

export function renderEnvExample(list: readonly Variable[]): string {
  const lines = [
    '# Every variable, its default and its meaning. All are commented out, so that copying this file to .env changes nothing.',
    '# Durations: 2s, 500ms, 1m, or a bare number of seconds. Sizes: 256MiB. A secret NAME may come from a file: NAME_FILE.',
  ]
  for (const section of new Set(list.map((v) => v.section))) {
    lines.push('', `## ${section}`)
    for (const v of list.filter((one) => one.section === section)) {
      lines.push(`# ${v.meaning}`, `#${v.name}=${v.shownDefault}`)
    }
  }
  return lines.join('\n') + '\n'
}

/** The same as a Markdown table, a row a variable. */
export function renderTable(list: readonly Variable[]): string {
  const rows = list.map((v) => {
    const value = v.shownDefault === '' ? '' : `\`${v.shownDefault}\``
    return `| ${v.section} | \`${v.name}\` | ${value} | ${v.meaning.replaceAll('|', '\\|')} |`
  })
  return ['| | Variable | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n') + '\n'
}
