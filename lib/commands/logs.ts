import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseConfig } from '../config.ts'
import { stateDir } from '../local/plan.ts'
import { EXIT, Stop } from '../run.ts'
import { command, positiveFlag } from './command.ts'

const HELP = `bun run logs [NAME…]: the end of the logs of the local stack, all of them without a name.

  NAME        kafka1, kafka2, kafka3, postgres, plant, consumer-1 …, monitor, supervisor
  -f          and what comes, until Ctrl-C
  --lines N   so many of each (default 20)

The files: .factory/logs/NAME.log (STATE_DIR). exit 0 · 1 there are no logs · 2 no such name`

await command({
  help: HELP,
  words: 50,
  options: { follow: { type: 'boolean', short: 'f' }, lines: { type: 'string' } },
  async main(values, words, signal) {
    const dir = join(stateDir(parseConfig()), 'logs')
    const lines = positiveFlag('lines', values.lines) ?? 20
    const known = existsSync(dir)
      ? readdirSync(dir).flatMap((file) => (file.endsWith('.log') ? [file.slice(0, -4)] : []))
      : []
    if (known.length === 0)
      throw new Stop(`Cannot show logs: none in ${dir}: nothing was started yet`, EXIT.fault)
    const unknown = words.find((word) => !known.includes(word))
    if (unknown) {
      throw new Stop(
        `Cannot show the log of "${unknown}": must be one of ${known.sort().join(', ')}`,
        EXIT.usage,
      )
    }
    const files = (words.length > 0 ? words : known.sort()).map((name) => `${name}.log`)
    // tail knows files that are cut and replaced while it follows them
    const follow = values.follow ? ['-F'] : []
    const tail = Bun.spawn(['tail', '-n', String(lines), ...follow, ...files], {
      cwd: dir,
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'ignore',
    })
    signal.addEventListener('abort', () => tail.kill(), { once: true })
    const code = await tail.exited
    return signal.aborted ? EXIT.ok : code
  },
})
