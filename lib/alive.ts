import { writeFileSync } from 'node:fs'
import { log } from './log.ts'

let warned = false

/**
 * Touches ALIVE_FILE. A program calls this once a second while it makes progress, so the age of the file tells a
 * container's health check more than a process that is merely up. Never stops the program.
 */
export function touchAlive(file: string | undefined): void {
  if (!file) return
  try {
    writeFileSync(file, `${new Date().toISOString()}\n`)
  } catch (error) {
    if (!warned) log.warn('alive.not_written', { file, error: error as Error })
    warned = true
  }
}
