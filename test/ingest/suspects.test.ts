import { expect, test } from 'bun:test'
import postgres from 'postgres'
import { createSuspects } from '../../lib/ingest/suspects.ts'

const refusal = (code: string) => new postgres.PostgresError({ code, message: 'as the server says' } as never)
const refused = refusal('22003')

/** A batch of offsets 3 to 5 is refused, then 4 alone. */
function condemning4() {
  const suspects = createSuspects()
  suspects.note(refused, 6, 3)
  suspects.note(refused, 5, 1)
  return suspects
}

test('the messages of a refused batch are stored one by one, and the one that is refused alone is condemned', () => {
  const suspects = createSuspects()
  suspects.note(refused, 6, 3)
  expect([3, 6, 7].map(suspects.isStoredAlone)).toEqual([true, true, false])
  expect(suspects.verdict(5)).toBeUndefined()
  suspects.note(refused, 5, 1)
  expect([3, 4, 5].map((offset) => suspects.verdict(offset)?.reason)).toEqual([
    undefined,
    'storage',
    undefined,
  ])
})

test('an error that is not about the rows suspects nobody', () => {
  const suspects = createSuspects()
  suspects.note(refusal('40P01'), 6, 1)
  expect(suspects.isStoredAlone(6)).toBe(false)
  expect(suspects.verdict(5)).toBeUndefined()
})

test('what a checkpoint has is forgotten, and not before', () => {
  const suspects = condemning4()
  suspects.forgetBefore(4)
  expect(suspects.verdict(4)?.reason).toBe('storage')
  suspects.forgetBefore(5)
  expect(suspects.verdict(4)).toBeUndefined()
})

test('a message of another log at the same offset is not condemned', () => {
  const suspects = condemning4()
  suspects.forgetAll()
  expect(suspects.verdict(4)).toBeUndefined()
  expect(suspects.isStoredAlone(5)).toBe(false)
})
