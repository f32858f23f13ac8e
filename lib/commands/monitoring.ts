import { command } from './command.ts'
import { startLayer } from './layer.ts'

const HELP = `bun run monitoring: brings up the monitor (and the infrastructure below it, where that is missing),
in the background. bun run stop monitoring ends it.

exit 0 up · 1 a part does not start, a port is taken · 69 Java, Maven or a named server is missing · 78 configuration`

await command({ help: HELP, main: (_values, _words, signal) => startLayer('monitoring', {}, signal) })
