import { MAX_RECORD_CHARS } from './csv.ts'

/** One line of text, its number from 1; `text` is null where it was too long to be kept. */
export interface Line {
  line: number
  text: string | null
}

/** Cuts pieces, themselves cut anywhere, into lines; blank ones are left out. Memory is bound by MAX_RECORD_CHARS. */
export function createLineSplitter(): { push(piece: string): Line[]; end(): Line[] } {
  let rest = ''
  let line = 1
  let atStart = true
  let skipping = false

  function take(text: string, found: Line[]): void {
    if (skipping) found.push({ line, text: null })
    else if (text.trim() !== '') found.push({ line, text })
    skipping = false
    line++
  }

  return {
    push(piece) {
      const found: Line[] = []
      const parts = (rest + (atStart && piece.charCodeAt(0) === 0xfeff ? piece.slice(1) : piece)).split('\n')
      atStart &&= piece === ''
      rest = parts.pop() ?? ''
      for (const part of parts) take(part, found)
      if (rest.length > MAX_RECORD_CHARS) {
        rest = ''
        skipping = true
      }
      return found
    },
    end() {
      const found: Line[] = []
      if (skipping || rest !== '') take(rest, found)
      rest = ''
      return found
    },
  }
}
