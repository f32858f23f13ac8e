/**
 * What somebody is, from the age of the last word, not from the word alone: a killed process never says goodbye, and its
 * row says `active` for ever. Heartbeats come every second; younger than 5 s is what was written, then `stale`, then `dead`.
 * Only goodbyes are believed at any age.
 */
export const STALE_AFTER_S = 5
export const DEAD_AFTER_S = 15
/** Who went without a goodbye is missed for ten minutes; then the plant has settled without it. */
export const MISSED_FOR_S = 600

export type ConsumerStatus =
  'starting' | 'active' | 'standby' | 'paused' | 'stopping' | 'stopped' | 'failed' | 'stale' | 'dead'
export type ProducerStatus =
  'starting' | 'active' | 'blocked' | 'stopping' | 'stopped' | 'finished' | 'failed' | 'stale' | 'dead'

const GOODBYES = new Set(['stopped', 'finished', 'failed'])

/** Without a connection two missed heartbeats are enough: a killed process loses its connections at once. */
const LOST_AFTER_S = 2

export function statusByAge<T extends string>(
  written: T,
  heartbeatAgeS: number,
  connected = true,
): T | 'stale' | 'dead' {
  if (GOODBYES.has(written)) return written
  if (!connected && heartbeatAgeS >= LOST_AFTER_S && heartbeatAgeS < DEAD_AFTER_S) return 'stale'
  if (heartbeatAgeS < STALE_AFTER_S) return written
  return heartbeatAgeS < DEAD_AFTER_S ? 'stale' : 'dead'
}

/** Takes part in the work at this moment. */
export function isAlive(status: ConsumerStatus | ProducerStatus): boolean {
  return (
    status === 'active' ||
    status === 'standby' ||
    status === 'paused' ||
    status === 'blocked' ||
    status === 'starting'
  )
}
