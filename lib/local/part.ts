/** The layers in the order in which they start; they stop in STOP_ORDER. */
export const LAYERS = ['infra', 'producers', 'consumers', 'monitoring'] as const
export type Layer = (typeof LAYERS)[number]
/** Sensors first, so that consumers finish what is under way; servers last. */
export const STOP_ORDER: Layer[] = ['producers', 'consumers', 'monitoring', 'infra']

/** One supervised process of the local stack: a Kafka node, PostgreSQL, a producer, a consumer, the monitor. */
export interface Part {
  name: string
  layer: Layer
  /** Makes what the process needs on disk (format, initdb). Runs before every start: quick where nothing is to do. */
  prepare: () => Promise<void>
  /** The command; asked for anew at every start. */
  start: () => Launch
  /** true once it serves; must answer within about a second and never throw */
  ready: () => Promise<boolean>
  /** How it is asked to end, and how long it may take before SIGKILL. */
  stop: { signal: NodeJS.Signals; graceMs: number }
  /** TCP ports on loopback that it must be able to take. */
  ports: { port: number; what: string }[]
  /** true: it may finish its work (exit 0) and is then left alone */
  mayFinish: boolean
}

export interface Launch {
  argv: string[]
  env: Record<string, string>
  cwd: string
}
