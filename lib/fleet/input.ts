/**
 * Bytes → text in pieces. UTF-8, or UTF-16 where a byte order mark says so (spreadsheets export it); what is neither becomes U+FFFD.
 * Ends, also in the midst of waiting for standard input, when the signal aborts.
 */
export async function* readText(
  input: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const reader = input.getReader()
  const cancel = () => void reader.cancel().catch(() => {})
  signal.addEventListener('abort', cancel, { once: true })
  let decoder: TextDecoder | null = null
  try {
    while (!signal.aborted) {
      const { done, value } = await reader.read()
      if (done) break
      decoder ??= new TextDecoder(encodingOf(value))
      yield decoder.decode(value, { stream: true })
    }
    if (decoder && !signal.aborted) yield decoder.decode()
  } finally {
    signal.removeEventListener('abort', cancel)
    cancel()
  }
}

function encodingOf(start: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (start[0] === 0xff && start[1] === 0xfe) return 'utf-16le'
  return start[0] === 0xfe && start[1] === 0xff ? 'utf-16be' : 'utf-8'
}
