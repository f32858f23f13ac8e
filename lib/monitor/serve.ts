import type { Config } from '../config.ts'
import { EXIT, Stop } from '../run.ts'
import { guard } from './guard.ts'

type Fetch = (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>

const LOOPBACK = /^(127\.|::1$|localhost$)/

/** The guard of this configuration. Throws Stop (78) where anybody could reach the monitor and nobody said that they may. */
export function guardOf(config: Config) {
  const isPublic = !LOOPBACK.test(config.MONITORING_HOST)
  if (isPublic && config.MONITORING_AUTH === 'on' && !config.MONITORING_TOKEN) {
    throw new Stop(
      `Cannot start the monitor: MONITORING_HOST is not loopback and there is no MONITORING_TOKEN: got "${config.MONITORING_HOST}": set a token, or MONITORING_AUTH=off where only trusted people reach the port`,
      EXIT.config,
    )
  }
  return guard({
    token: config.MONITORING_AUTH === 'off' ? null : (config.MONITORING_TOKEN ?? null),
    perSecond: config.MONITORING_RATE,
    burst: config.MONITORING_BURST,
    trusted: config.MONITORING_TRUSTED,
  })
}

/** Opens the port. Throws Stop where it is taken. */
export function serve(
  fetch: Fetch,
  { MONITORING_HOST: hostname, MONITORING_PORT: port }: Config,
): Bun.Server<undefined> {
  try {
    return Bun.serve({
      hostname,
      port,
      idleTimeout: 30, // seconds; a stream beats every four, so only the dead are closed
      maxRequestBodySize: 128 * 1024,
      development: false,
      fetch,
    })
  } catch (error) {
    const seen = error instanceof Error ? error.message : String(error)
    throw new Stop(
      `Cannot open the monitor on ${hostname}:${port}: ${seen}: stop what holds the port, or set MONITORING_PORT`,
      EXIT.fault,
    )
  }
}
