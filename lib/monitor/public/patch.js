// Applies what the server says has changed. Elements are made by name, text is text: nothing here parses HTML, and no
// attribute outside the list is ever set, whatever arrives.

const SVG = 'http://www.w3.org/2000/svg'
const SVG_TAGS = new Set(['svg', 'g', 'rect', 'line', 'path', 'polyline', 'circle', 'text'])
const ATTRS =
  /^(id|class|title|href|role|lang|datetime|hidden|open|type|name|value|method|action|for|min|max|step|rows|required|checked|selected|disabled|placeholder|autocomplete|maxlength|pattern|scope|colspan|tabindex|viewBox|preserveAspectRatio|x|y|x1|x2|y1|y2|cx|cy|r|rx|width|height|d|points|text-anchor|data-[a-z-]+|aria-[a-z]+|download|rel|accesskey)$/

/** Tree of the server → element or text node. */
export function make(node) {
  if (typeof node === 'string') return document.createTextNode(node)
  const element = SVG_TAGS.has(node.tag)
    ? document.createElementNS(SVG, node.tag)
    : document.createElement(node.tag)
  for (const [name, value] of Object.entries(node.attrs)) setAttribute(element, name, value)
  if (node.key !== null) element.dataset.key = node.key
  element.append(...node.children.map(make))
  return element
}

function setAttribute(element, name, value) {
  if (!ATTRS.test(name)) return
  if (value === null) return element.removeAttribute(name)
  if ((name === 'href' || name === 'action') && !/^[/#?](?![/\\])/.test(value)) return
  element.setAttribute(name, value)
}

/** Throws where the page does not look as the server believes: the caller then takes the whole tree. */
export function applyPatches(root, patches) {
  for (const [path, op, value] of patches) {
    let node = root
    for (const place of path) {
      node = node.childNodes[place]
      if (!node) throw new Error(`no child ${place}`)
    }
    if (op === 't') node.data = value
    else if (op === 'r') node.replaceWith(make(value))
    else if (op === 'a') for (const [name, text] of Object.entries(value)) setAttribute(node, name, text)
    else if (op === 'c') {
      const old = [...node.childNodes]
      const next = value.map((child) => (typeof child === 'number' ? old[child] : make(child)))
      reorder(node, next)
    } else throw new Error(`unknown change ${op}`)
  }
}

/** Only what really moved is moved, so that focus and open details stay. */
function reorder(parent, next) {
  const keep = new Set(next)
  for (const child of [...parent.childNodes]) if (!keep.has(child)) child.remove()
  next.forEach((child, i) => {
    if (parent.childNodes[i] !== child) parent.insertBefore(child, parent.childNodes[i] ?? null)
  })
}

/** Brings an element to a tree, keeping what is alike: after a reconnect, and where patches did not fit. */
export function morph(element, tree) {
  if (typeof tree === 'string' || element.nodeType !== 1 || element.localName !== tree.tag.toLowerCase()) {
    const fresh = make(tree)
    element.replaceWith(fresh)
    return fresh
  }
  for (const { name } of [...element.attributes]) {
    if (tree.attrs[name] === undefined && name !== 'data-key' && name !== 'open')
      element.removeAttribute(name)
  }
  for (const [name, value] of Object.entries(tree.attrs)) {
    if (element.getAttribute(name) !== value) setAttribute(element, name, value)
  }
  if (tree.attrs['data-island'] !== undefined) return element
  const old = [...element.childNodes]
  const next = tree.children.map((child, i) => {
    const there = old[i]
    if (there && there.nodeType === 3 && typeof child === 'string') {
      if (there.data !== child) there.data = child
      return there
    }
    return there ? morph(there, child) : make(child)
  })
  reorder(element, next)
  return element
}
