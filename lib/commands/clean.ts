import { parseConfig } from '../config.ts'
import { stateDir } from '../local/plan.ts'
import { removeState } from '../local/state.ts'
import { command } from './command.ts'

const HELP = `bun run clean: deletes all data of the local stack: Kafka, PostgreSQL, spools, logs (.factory/, STATE_DIR).
Refuses while anything of it runs. Downloads stay.

exit 0 deleted, or nothing there · 1 something runs`

await command({
  help: HELP,
  async main() {
    const dir = stateDir(parseConfig())
    await removeState(dir)
    process.stderr.write(`deleted ${dir}\n`)
  },
})
