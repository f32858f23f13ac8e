import { command, positiveFlag } from './command.ts'
import { startLayer } from './layer.ts'

const HELP = `bun run consumers: brings up the consumers (and the infrastructure below, where that is missing), in the background.
bun run stop consumers ends them.

  --count N   so many, more or fewer than run now (default 3, CONSUMERS). One for each partition works; a further one
              stands by and takes over when another dies

exit 0 up · 1 a part does not start, a port is taken · 69 Java, Maven or a named server is missing · 78 configuration`

await command({
  help: HELP,
  options: { count: { type: 'string' } },
  main: (values, _words, signal) => {
    const count = positiveFlag('count', values.count)
    return startLayer('consumers', count === undefined ? {} : { CONSUMERS: String(count) }, signal)
  },
})
