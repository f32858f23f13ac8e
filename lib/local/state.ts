import { rm } from 'node:fs/promises'
import { EXIT, Stop } from '../run.ts'
import { askStatus } from './control.ts'
import { livingRecords } from './record.ts'

/** Deletes all data of a local stack. Throws Stop while anything of it runs. */
export async function removeState(dir: string): Promise<void> {
  const running = livingRecords(dir).map((one) => one.name)
  if ((await askStatus(dir)) || running.length > 0) {
    throw new Stop(
      `Cannot delete ${dir}: ${running.join(', ') || 'the supervisor'} runs on it: bun run stop first`,
      EXIT.fault,
    )
  }
  await rm(dir, { recursive: true, force: true })
}
