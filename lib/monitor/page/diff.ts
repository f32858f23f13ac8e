import type { Element, Node } from './tree.ts'

/**
 * What turns one tree into the next, in the order in which a page applies it. A path is the list of child numbers from
 * the root.
 *   [path, 't', text]            the text node there says this now
 *   [path, 'a', {name: value}]   these attributes; null takes one away
 *   [path, 'c', [3, 0, node]]    these children now: a number is the old child of that place, the rest is new
 *   [path, 'r', node]            something else stands there now
 */
export type Patch =
  | [path: number[], op: 't', text: string]
  | [path: number[], op: 'a', attrs: Record<string, string | null>]
  | [path: number[], op: 'c', children: (number | Node)[]]
  | [path: number[], op: 'r', node: Node]

export function diff(before: Element, after: Element): Patch[] {
  const patches: Patch[] = []
  compare(before, after, [], patches)
  return patches
}

function compare(a: Node, b: Node, path: number[], out: Patch[]): void {
  if (a === b) return
  if (typeof a === 'string' || typeof b === 'string') {
    if (typeof a === 'string' && typeof b === 'string') out.push([path, 't', b])
    else out.push([path, 'r', b])
    return
  }
  if (a.tag !== b.tag || a.key !== b.key) {
    out.push([path, 'r', b])
    return
  }
  compareAttrs(a, b, path, out)
  // What is inside is the page's own business: it counts the seconds itself, and draws its charts on islands.
  if (b.attrs['data-age'] !== undefined || b.attrs['data-island'] !== undefined) return
  compareChildren(a, b, path, out)
}

function compareAttrs(a: Element, b: Element, path: number[], out: Patch[]): void {
  const changed: Record<string, string | null> = {}
  let any = false
  for (const name in b.attrs) {
    if (a.attrs[name] !== b.attrs[name]) {
      changed[name] = b.attrs[name] ?? ''
      any = true
    }
  }
  for (const name in a.attrs) {
    if (b.attrs[name] === undefined) {
      changed[name] = null
      any = true
    }
  }
  if (any) out.push([path, 'a', changed])
}

function compareChildren(a: Element, b: Element, path: number[], out: Patch[]): void {
  if (a.children.length === b.children.length && a.children.every((c, i) => sameIdentity(c, b.children[i]))) {
    a.children.forEach((c, i) => compare(c, b.children[i] ?? c, [...path, i], out))
    return
  }
  const places = new Map<string, number>()
  a.children.forEach((c, i) => places.set(identity(c, i), i))
  const reused: [Node, Node, number][] = []
  const list = b.children.map((child, i): number | Node => {
    const id = identity(child, i)
    const place = places.get(id)
    const old = place === undefined ? undefined : a.children[place]
    if (place === undefined || old === undefined || !sameIdentity(old, child)) return child
    places.delete(id)
    reused.push([old, child, i])
    return place
  })
  out.push([path, 'c', list])
  for (const [old, child, i] of reused) compare(old, child, [...path, i], out)
}

function identity(node: Node, place: number): string {
  return typeof node === 'string' || node.key === null ? `#${place}` : node.key
}

function sameIdentity(a: Node | undefined, b: Node | undefined): boolean {
  if (a === undefined || b === undefined) return false
  if (typeof a === 'string' || typeof b === 'string') return typeof a === typeof b
  return a.tag === b.tag && a.key === b.key
}
