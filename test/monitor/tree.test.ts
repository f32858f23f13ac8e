import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { diff, type Patch } from '../../lib/monitor/page/diff.ts'
import { h, toHtml, type Element, type Node } from '../../lib/monitor/page/tree.ts'

describe('h()', () => {
  test('escapes what people and sensors say', () => {
    const html = toHtml(h('p', { title: '"><script>alert(1)</script>' }, '<img src=x onerror=alert(1)>'))
    expect(html).toBe(
      '<p title="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">&lt;img src=x onerror=alert(1)&gt;</p>',
    )
  })
  test('refuses elements and attributes that could run something', () => {
    expect(() => h('script', null, 'alert(1)')).toThrow('not among its elements')
    expect(() => h('p', { onclick: 'alert(1)' })).toThrow('not among its attributes')
    expect(() => h('p', { style: 'color:red' })).toThrow('not among its attributes')
  })
  test.each([
    'javascript:alert(1)',
    'https://elsewhere.example',
    '//elsewhere.example',
    '/\\elsewhere.example',
    'data:text/html,x',
  ])('refuses a link to %s', (href) => expect(() => h('a', { href }, 'x')).toThrow('this site only'))
  test('joins neighbouring texts, as a browser does', () => {
    expect(h('p', null, 'a', null, 'b', 1, ['c', [false, 'd']], '').children).toEqual(['ab1cd'])
  })
  test('replaces what an HTML parser would alter', () => {
    expect(h('p', null, 'a\0b\rc\u009fd\ud800e').children).toEqual(['a\ufffdb\ufffdc\ufffdd\ufffde'])
  })
})

/** What the page's script does, on trees instead of a document. */
function apply(root: Element, patches: readonly Patch[]): Element {
  let tree: Node = structuredClone(root)
  const change = (node: Node, path: number[], edit: (node: Node) => Node): Node => {
    const [place, ...rest] = path
    if (place === undefined) return edit(node)
    const element = node as Element
    return { ...element, children: element.children.map((c, i) => (i === place ? change(c, rest, edit) : c)) }
  }
  for (const [path, op, value] of patches) {
    tree = change(tree, path, (node) => {
      const element = node as Element
      if (op === 't') return value
      if (op === 'r') return value
      if (op === 'c')
        return { ...element, children: value.map((c) => (typeof c === 'number' ? element.children[c]! : c)) }
      const attrs: Record<string, string> = { ...element.attrs }
      for (const [name, text] of Object.entries(value)) {
        if (text === null) delete attrs[name]
        else attrs[name] = text
      }
      return { ...element, attrs }
    })
  }
  return tree as Element
}

const { node } = fc.letrec<{ node: Node; element: Element }>((tie) => ({
  node: fc.oneof({ maxDepth: 4 }, fc.string({ minLength: 1, maxLength: 4 }), tie('element')),
  element: fc
    .record({
      tag: fc.constantFrom('p', 'div', 'span'),
      key: fc.option(fc.constantFrom('a', 'b', 'c'), { nil: null }),
      attrs: fc.dictionary(fc.constantFrom('id', 'class', 'title'), fc.string({ maxLength: 3 })),
      children: fc.array(tie('node'), { maxLength: 4 }),
    })
    .map(({ tag, key, attrs, children }) => h(tag, { ...attrs, key }, distinct(children as Node[]))),
}))
const root = fc.array(node, { maxLength: 5 }).map((children) => h('main', null, distinct(children)))

/** Keys are unique among siblings: a page that breaks this has no identity to keep. */
function distinct(children: Node[]): Node[] {
  const seen = new Set<string>()
  return children.filter((c) => {
    if (typeof c === 'string' || c.key === null) return true
    if (seen.has(c.key)) return false
    seen.add(c.key)
    return true
  })
}

describe('diff()', () => {
  test('applied to the one tree gives the other, whatever they are', () => {
    fc.assert(
      fc.property(root, root, (before, after) => {
        expect(apply(before, JSON.parse(JSON.stringify(diff(before, after))))).toEqual(after)
      }),
      { numRuns: 1000 },
    )
  })
  test('says nothing where nothing changed', () => {
    fc.assert(fc.property(root, (tree) => void expect(diff(tree, structuredClone(tree))).toEqual([])))
  })
  test('one changed number is one small patch', () => {
    const page = (n: number) =>
      h('main', null, h('p', null, 'rate ', h('strong', null, n)), h('p', null, 'rest'))
    expect(diff(page(1), page(2))).toEqual([[[0, 1, 0], 't', '2']])
  })
  test('a row that goes away leaves the others as they are', () => {
    const table = (...keys: string[]) =>
      h(
        'tbody',
        null,
        keys.map((key) => h('tr', { key }, h('td', null, key))),
      )
    expect(diff(table('a', 'b', 'c'), table('a', 'c'))).toEqual([[[], 'c', [0, 2]]])
  })
  test('leaves ages to the page, which counts them itself', () => {
    const old = (text: string) => h('p', null, h('time', { 'data-age': true, datetime: 'x' }, text))
    expect(diff(old('1 s ago'), old('2 s ago'))).toEqual([])
  })
})
