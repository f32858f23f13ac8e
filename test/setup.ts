import { afterAll } from 'bun:test'

/** Loaded before every test run (bunfig.toml): the servers that any test asked for end with the run. */
afterAll(async () => {
  if (!('testStack' in globalThis)) return
  const { stopStack } = await import('./stack.ts')
  await stopStack()
}, 60_000)
