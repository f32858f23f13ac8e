import { parseConfig } from '../config.ts'
import { askDown, askStatus } from '../local/control.ts'
import { LAYERS } from '../local/part.ts'
import { stateDir } from '../local/plan.ts'
import { endRecorded, livingRecords } from '../local/record.ts'
import { createStages } from '../local/stage.ts'
import { EXIT, Stop } from '../run.ts'
import { command } from './command.ts'

const HELP = `bun run stop [LAYER|NAME…]: drains and stops what bun start has started, and nothing else.

  LAYER   infra · producers · consumers · monitoring; without one everything
  NAME    one process: kafka1, kafka2, kafka3, postgres, plant, consumer-1 …, sink-s3 …, monitor

exit 0 stopped, or nothing was running · 2 no such layer or process`

await command({
  help: HELP,
  words: 20,
  async main(_values, words) {
    const dir = stateDir(parseConfig())
    const status = await askStatus(dir)
    const records = livingRecords(dir)
    const known = status?.parts ?? records
    const names = words.flatMap((word) => namesFor(word, known))
    if (known.length === 0 && !status) {
      process.stderr.write('nothing is running\n')
      return
    }
    const stopped = await createStages().run(
      'stopping',
      async () => {
        if (status) return askDown(dir, words.length === 0 ? null : names)
        // no supervisor: it was killed, and what it had started lives on
        const ours = records.filter((one) => words.length === 0 || names.includes(one.name))
        await endRecorded(dir, ours)
        return ours.map((one) => one.name)
      },
      (all) => `${all.length} processes drained and stopped`,
    )
    for (const name of stopped) console.log(name)
  },
})

function namesFor(word: string, known: { name: string; layer: string }[]): string[] {
  const names = known.filter((part) => part.name === word || part.layer === word).map((part) => part.name)
  if (names.length > 0 || (LAYERS as readonly string[]).includes(word)) return names
  throw new Stop(
    `Cannot stop "${word}": must be ${LAYERS.join(', ')} or one of ${known.map((part) => part.name).join(', ') || 'nothing (none runs)'}`,
    EXIT.usage,
  )
}
