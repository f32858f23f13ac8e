import { expect, test } from 'bun:test'
import type { Database } from '../../lib/db/connect.ts'
import { createKeyCache } from '../../lib/ingest/keys.ts'

// Found by the simulation while sensors were kept here, too; of runs alone it meets this too seldom.
test('what another partition registers while the tables are looked at is not taken back by the look', async () => {
  const answers = Promise.withResolvers<void>()
  const sql = (parts: TemplateStringsArray) => {
    const text = parts.join('?')
    if (text.includes('select run_key, run_id from runs')) return answers.promise.then(() => [])
    if (text.includes('select run_key from runs')) return Promise.resolve([{ run_key: 7 }])
    return Promise.resolve([])
  }
  const keys = createKeyCache({ sql } as unknown as Database)
  const look = keys.load()
  await keys.registerRun('run-1')
  answers.resolve()
  await look
  expect(keys.run('run-1')).toBe(7)
})

test('what is in no table any more is forgotten by the next look', async () => {
  let known = [{ run_key: 7, run_id: 'run-1' }]
  const sql = (parts: TemplateStringsArray) =>
    Promise.resolve(parts.join('?').includes('from runs') ? known : [])
  const keys = createKeyCache({ sql } as unknown as Database)
  await keys.load()
  expect(keys.missingRun('run-1')).toBe(false)
  known = []
  await keys.load()
  expect(keys.missingRun('run-1')).toBe(true)
})
