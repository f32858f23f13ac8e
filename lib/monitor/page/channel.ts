import { keepChanges } from '../kept.ts'
import type { Change, Feed } from '../stream.ts'
import { diff } from './diff.ts'
import type { Element } from './tree.ts'

/**
 * One live page, whoever looks at it: rendered at most once a snapshot, compared once, and the same bytes go to every
 * viewer. Nobody looking: nothing is rendered. A viewer that comes with an old version gets what it lacks, or, where
 * that is no longer kept, the whole tree.
 */
export interface Channel extends Feed {
  /** the page of this moment and its version, for the first paint */
  current(): { version: number; tree: Element }
}

/** `snapshot` tells whether anything can have changed; the same number is not rendered twice. */
export function createChannel(
  render: () => Element,
  snapshot: () => number,
  now: () => number = Date.now,
): Channel {
  // Versions of another process must not look like ours: they start at the clock.
  let version = now()
  let tree: Element | null = null
  let renderedOf = Number.NaN
  let everything: Change | null = null
  const kept = keepChanges()
  const next = (): Change | null => {
    if (tree !== null && renderedOf === snapshot()) return null
    renderedOf = snapshot()
    const fresh = render()
    const before = tree
    tree = fresh
    if (before === null) return null
    const patches = diff(before, fresh)
    if (patches.length === 0) return null
    const change = {
      id: version + 1,
      event: 'patch',
      data: JSON.stringify({ from: version, patches }),
    } as const
    version++
    kept.add(change)
    return change
  }
  const current = () => {
    next()
    return { version, tree: tree ?? render() }
  }
  return {
    next,
    current,
    whole: () => {
      const { version: id, tree } = current()
      if (everything?.id !== id) everything = { id, event: 'tree', data: JSON.stringify(tree) }
      return everything
    },
    since: (from) => kept.since(from, version),
  }
}
