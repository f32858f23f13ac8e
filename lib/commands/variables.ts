import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderEnvExample, renderTable, variables } from '../variables.ts'
import { command } from './command.ts'

const HELP = `bun run variables: every variable of the environment, its default and its meaning.

  --json    the same for programs
  --write   brings .env.example and the table in README.md up to the schema (lib/config.ts)
  --help    this text`

const ROOT = join(import.meta.dir, '../..')
/** the table in README.md stands between these lines */
const BEGIN = '<!-- variables: bun run variables --write -->'
const END = '<!-- /variables -->'

await command({
  help: HELP,
  options: { json: { type: 'boolean' }, write: { type: 'boolean' } },
  async main(flags) {
    const list = variables()
    if (flags.write) {
      writeFileSync(join(ROOT, '.env.example'), renderEnvExample(list))
      const readme = join(ROOT, 'README.md')
      const text = readFileSync(readme, 'utf8')
      const from = text.indexOf(BEGIN) + BEGIN.length
      const to = text.indexOf(END)
      if (to < from)
        throw new Error(`Cannot write the table: README.md must have the lines "${BEGIN}" and "${END}"`)
      writeFileSync(readme, `${text.slice(0, from)}\n\n${renderTable(list)}\n${text.slice(to)}`)
    } else if (flags.json) console.log(JSON.stringify(list, null, 2))
    else console.log(renderEnvExample(list))
  },
})
