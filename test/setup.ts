import { afterAll } from 'bun:test'
import { stopStack } from './stack.ts'

/** Loaded before every test run (bunfig.toml): the servers that any test asked for end with the run. */
afterAll(stopStack, 60_000)
