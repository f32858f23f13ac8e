/**
 * A page is a tree of plain values, made by one set of functions for both uses: the server writes it as HTML for the
 * first paint, and sends what changed in it afterwards, so the first paint and the live page cannot disagree and the
 * browser never parses HTML again. Only the tags and attributes named here exist; text is text.
 */
export interface Element {
  readonly tag: string
  readonly attrs: Readonly<Record<string, string>>
  readonly children: readonly Node[]
  /** identity among its siblings; children without one are matched by place */
  readonly key: string | null
}
export type Node = Element | string
export type Child = Node | number | null | undefined | false | readonly Child[]
type Attrs = Record<string, string | number | boolean | null | undefined>

const TAGS = new Set(
  'main header nav section article footer div span p ul ol li dl dt dd h1 h2 h3 strong em small code pre a abbr button form label input select option textarea table caption thead tbody tr th td details summary time progress output fieldset legend hr svg title g rect line path polyline circle text'.split(
    ' ',
  ),
)
const VOID = new Set(['input', 'hr'])
const ATTRS =
  /^(id|class|key|title|href|role|lang|datetime|hidden|open|type|name|value|method|action|for|min|max|step|rows|required|checked|selected|disabled|placeholder|autocomplete|maxlength|pattern|scope|colspan|tabindex|viewBox|preserveAspectRatio|x|y|x1|x2|y1|y2|cx|cy|r|rx|width|height|d|points|text-anchor|data-[a-z-]+|aria-[a-z]+|download|rel|accesskey)$/

/** `key` among the attributes is the identity, not an attribute. Refuses what is not in the lists. */
export function h(tag: string, attrs: Attrs | null, ...children: Child[]): Element {
  if (!TAGS.has(tag)) throw new Error(`Cannot make a page: <${tag}> is not among its elements`)
  const given: Record<string, string> = {}
  let key: string | null = null
  for (const name in attrs) {
    const value = attrs[name]
    if (value === null || value === undefined || value === false) continue
    if (!ATTRS.test(name)) throw new Error(`Cannot make a page: ${name} is not among its attributes`)
    if (name === 'key') key = String(value)
    else if ((name === 'href' || name === 'action') && !/^[/#?](?![/\\])/.test(String(value))) {
      throw new Error('Cannot make a page: links lead to this site only')
    } else given[name] = value === true ? '' : clean(String(value))
  }
  const nodes: Node[] = []
  append(nodes, children)
  return { tag, attrs: given, children: nodes, key }
}

/** Neighbouring texts become one, as they do when a browser parses them, so that both count children alike. */
function append(nodes: Node[], child: Child): void {
  if (child === null || child === undefined || child === false || child === '') return
  if (typeof child === 'object' && 'length' in child) {
    for (const c of child) append(nodes, c)
    return
  }
  if (typeof child === 'object') {
    nodes.push(child)
    return
  }
  const text = clean(String(child))
  const last = nodes.at(-1)
  if (typeof last === 'string') nodes[nodes.length - 1] = last + text
  else nodes.push(text)
}

/** What an HTML parser would drop or alter becomes the replacement sign: both ways must give the same text. */
function clean(text: string): string {
  // eslint-disable-next-line no-control-regex -- these are the characters in question
  return text.toWellFormed().replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
}

/** As of `now`: what says how old it is says so for this moment, however long ago its part of the tree was made. */
export function toHtml(node: Node, now: number | null = null): string {
  const out: string[] = []
  write(node, out, now)
  return out.join('')
}

function write(node: Node, out: string[], now: number | null): void {
  if (typeof node === 'string') {
    out.push(Bun.escapeHTML(node))
    return
  }
  out.push('<', node.tag)
  for (const name in node.attrs) out.push(' ', name, '="', Bun.escapeHTML(node.attrs[name] ?? ''), '"')
  out.push('>')
  if (VOID.has(node.tag)) return
  if (now !== null && node.attrs['data-age'] !== undefined) out.push(agoText(node.attrs.datetime ?? '', now))
  else for (const child of node.children) write(child, out, now)
  out.push('</', node.tag, '>')
}

export function agoText(iso: string, now: number): string {
  return `${seconds(Math.max(0, (now - Date.parse(iso)) / 1000))} ago`
}

/** A span of time in the unit that its size deserves. */
export function seconds(value: number): string {
  if (value < 10) return `${value.toFixed(1)} s`
  if (value < 120) return `${Math.round(value)} s`
  if (value < 7200) return `${Math.round(value / 60)} min`
  return value < 172_800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86_400)} d`
}
