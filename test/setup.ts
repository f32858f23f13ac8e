import { afterAll, setDefaultTimeout } from 'bun:test'
import { stopStack } from './stack.ts'

/** Loaded before every test run (bunfig.toml): the servers that any test asked for end with the run. */
afterAll(stopStack, 60_000)
// real servers on a busy machine; bunfig.toml's own timeout is not read
setDefaultTimeout(30_000)
