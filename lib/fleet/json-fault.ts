/**
 * Where a text stops being JSON, for messages: JSON.parse of this run time names no place. Only asked for a text that
 * JSON.parse has refused.
 */
export function placeOfFault(text: string): { line: number; column: number } {
  const at = faultAt(text)
  const before = text.slice(0, at)
  return { line: before.split('\n').length, column: at - before.lastIndexOf('\n') }
}

const TOKEN =
  /[\t\n\r ]*(?:"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[[\]{},:])/y

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or end'

/** The index of the first character that cannot stand where it does. */
function faultAt(text: string): number {
  const open: ('[' | '{')[] = []
  let expected: Expected = 'value'
  let at = 0
  for (;;) {
    TOKEN.lastIndex = at
    const found = TOKEN.exec(text)
    const start = at + (/^[\t\n\r ]*/.exec(text.slice(at))?.[0].length ?? 0)
    if (!found) return start
    const token = found[0].trim()
    const next = after(token, expected, open)
    if (next === null) return start
    expected = next
    at = TOKEN.lastIndex
  }
}

/** What may follow, null where the token may not stand here. `open` moves along. */
function after(token: string, expected: Expected, open: ('[' | '{')[]): Expected | null {
  const top = open.at(-1)
  if (expected === ':') return token === ':' ? 'value' : null
  if (expected === ', or end') {
    if (token === ',' && top) return top === '[' ? 'value' : 'key'
    return closes(token, top) ? close(open) : null
  }
  if (expected === 'key' || expected === 'key or }') {
    if (token.startsWith('"')) return ':'
    return expected === 'key or }' && token === '}' ? close(open) : null
  }
  if (token === '[' || token === '{') {
    open.push(token)
    return token === '[' ? 'value or ]' : 'key or }'
  }
  if (expected === 'value or ]' && token === ']') return close(open)
  return /^[\]},:]$/.test(token) ? null : ', or end'
}

function closes(token: string, top: '[' | '{' | undefined): boolean {
  return (token === ']' && top === '[') || (token === '}' && top === '{')
}

function close(open: ('[' | '{')[]): Expected {
  open.pop()
  return ', or end'
}
