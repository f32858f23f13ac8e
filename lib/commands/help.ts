import { command } from './command.ts'

const HELP = `The commands (bun run NAME --help tells more):

  start                 everything, one command; Ctrl-C drains and stops it
  infra                 only Kafka, PostgreSQL, schema and topics
  producers             and who measures
  consumers             and who processes (--count N)
  monitoring            and the page
  stop [LAYER|NAME]     drain and stop, all or a part
  status [--watch]      what runs
  health                whether it works
  logs [NAME] [-f]      what it says
  clean                 delete all local data
  setup                 fetch what start needs, start nothing

  topics, test-topics   make and check the topics; send a message through each
  migrate               bring the schema up to date
  monitor-sensors       readings as they come; monitor-alerts: alarms and rebalances
  test-external         can this machine reach Kafka, PostgreSQL, the monitor?
  load                  a producer at a chosen rate

  verify                accepted = stored? exit 1 where anything is lost or doubled
  score                 alarms against the simulator's own truth
  backtest              what another limit would have raised
  detect                the detectors on CSV files
  dlt                   dead letters: list, show, redrive
  bench                 benchmarks

Programs: bun run producer.ts · consumer.ts · monitor.ts. Faults with verdicts: chaos/run. Variables: .env.example`

await command({
  help: HELP,
  async main() {
    console.log(HELP)
  },
})
