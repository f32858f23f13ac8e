import type { MiddlewareHandler } from 'hono'
import type { Config } from '../config.ts'
import type { Token } from '../kinds.ts'
import { EXIT, Stop } from '../run.ts'
import { guard } from './who/guard.ts'
import { createIdentity, type Identity } from './who/identity.ts'

type Fetch = (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>

const LOOPBACK = /^(127\.|::1$|localhost$)/

/**
 * Who may ask on this configuration, and how often. Throws Stop (78) where anybody could reach the monitor and nobody
 * said that they may.
 */
export function guardOf(config: Config): { identity: Identity; guard: MiddlewareHandler } {
  const isLoopback = LOOPBACK.test(config.MONITORING_HOST)
  const one: Token[] = config.MONITORING_TOKEN
    ? [{ role: 'admin', name: 'admin', token: config.MONITORING_TOKEN }]
    : []
  const isOff = config.MONITORING_AUTH === 'off'
  const identity = createIdentity({
    tokens: isOff ? [] : [...(config.MONITORING_TOKENS ?? []), ...one],
    sessionMs: config.MONITORING_SESSION,
    proxies: isOff ? [] : config.MONITORING_PROXY,
  })
  if (!isLoopback && !isOff && !identity.isNeeded) {
    throw new Stop(
      `Cannot start the monitor: MONITORING_HOST is not loopback and there are no MONITORING_TOKENS: got "${config.MONITORING_HOST}": set tokens, or MONITORING_AUTH=off where only trusted people reach the port`,
      EXIT.config,
    )
  }
  return {
    identity,
    guard: guard({
      identity,
      perSecond: config.MONITORING_RATE,
      burst: config.MONITORING_BURST,
      trusted: config.MONITORING_TRUSTED,
      isLocal: isLoopback && !identity.isNeeded,
    }),
  }
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
      maxRequestBodySize: 2 * 1024 * 1024,
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
