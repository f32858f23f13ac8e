/** Whose server a stack uses. */
export type Choice = 'own' | 'given' | 'unreachable'

/**
 * Our own state comes first; then a server that was named and answers; a named one that does not answer is replaced by
 * our own only where the name is the address that ours would have, and never silently otherwise.
 */
export function chooseServer(seen: {
  /** processes of ours for this server live */
  ownRuns: boolean
  /** the address was set, not derived */
  isGiven: boolean
  /** it is where our own would listen */
  isOwnAddress: boolean
  answers: boolean
}): Choice {
  if (seen.ownRuns || !seen.isGiven) return 'own'
  if (seen.answers) return 'given'
  return seen.isOwnAddress ? 'own' : 'unreachable'
}
