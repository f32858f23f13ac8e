import { makeArchive } from '../local/archive.ts'
import { findJava } from '../local/java.ts'
import { needsRegistry } from '../local/plan.ts'
import { findRegistry } from '../local/registry.ts'
import { createStages, progressBar } from '../local/stage.ts'
import { findOpensearch, findS3proxy } from '../local/stores.ts'
import { parseConfig } from '../config.ts'
import { command } from './command.ts'

const HELP = `bun run setup: fetches everything that bun start needs, and starts nothing: the packages of bun.lock, Kafka's jars
(54 MB, by Maven), an archive of its classes that makes every start faster, and with FLEET=iot or all the schema registry
(142 MB), with SINKS=on OpenSearch and s3proxy (100 MB). Harmless to repeat.

exit 0 all is there · 69 Java or Maven is missing`

await command({
  help: HELP,
  async main() {
    const stages = createStages()
    const java = await stages.run(
      'Kafka',
      (progress) => findJava((done, total) => progress(progressBar(done, total))),
      () => 'jars are there',
    )
    if (needsRegistry(parseConfig())) {
      await stages.run(
        'schema registry',
        (progress) => findRegistry((done, total) => progress(progressBar(done, total))),
        () => 'is there',
      )
    }
    if (parseConfig().SINKS === 'on') {
      await stages.run(
        'OpenSearch, s3proxy',
        async (progress) => {
          await findOpensearch((done, total) => progress(progressBar(done, total)))
          await findS3proxy((done, total) => progress(progressBar(done, total)))
        },
        () => 'are there',
      )
    }
    await stages.run(
      'classes',
      () => makeArchive(java),
      (made) => (made.archive ? 'archive is there' : 'no archive on this Java: starts take longer'),
    )
  },
})
