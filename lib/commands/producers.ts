import { command } from './command.ts'
import { startLayer } from './layer.ts'

const HELP = `bun run producers: brings up who measures (and the infrastructure below, where that is missing),
in the background. bun run stop producers ends it.

  --fleet factory|soda|iot|all   which (default: as the running stack, else factory)

exit 0 up · 1 a part does not start, a port is taken · 69 Java, Maven or a named server is missing · 78 configuration`

await command({
  help: HELP,
  options: { fleet: { type: 'string' } },
  main: ({ fleet }, _words, signal) =>
    startLayer('producers', typeof fleet === 'string' ? { FLEET: fleet } : {}, signal),
})
