import { command } from './command.ts'
import { startLayer } from './layer.ts'

const HELP = `bun run infra: brings up three Kafka nodes and PostgreSQL, with schema and topics,
in the background. bun run stop infra ends it.

exit 0 up · 1 a part does not start, a port is taken · 69 Java, Maven or a named server is missing · 78 configuration`

await command({ help: HELP, main: (_values, _words, signal) => startLayer('infra', {}, signal) })
