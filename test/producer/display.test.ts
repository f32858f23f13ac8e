import { expect, test } from 'bun:test'
import type { Measured } from '../../lib/fleet/fleet.ts'
import { createDisplay } from '../../lib/producer/display.ts'

const message = (text: string) =>
  ({ topic: 't', key: 'k', reading: [], encode: () => text }) as Measured<readonly []>

function setUp() {
  const lines: string[] = []
  const display = createDisplay(
    (m) =>
      String(m.encode({ runId: '', seq: 0 })) === 'beat' ? null : String(m.encode({ runId: '', seq: 0 })),
    (line) => lines.push(line),
  )
  return {
    lines,
    take: (text: string, reachable: boolean | null) => display.take([message(text)], reachable),
    end: display.end,
  }
}

test('where Kafka is there, nothing is shown, however late that is known', () => {
  const { lines, take, end } = setUp()
  take('1', null)
  take('2', null)
  take('3', true)
  end(true)
  expect(lines).toEqual([])
})

test('where it is missing, everything is shown once, also what came before that was known; signs of life are not', () => {
  const { lines, take, end } = setUp()
  take('1', null)
  take('beat', null)
  take('2', false)
  take('3', false)
  end(false)
  expect(lines).toEqual(['1', '2', '3'])
})

test('it ends when Kafka is back, and begins again when it goes', () => {
  const { lines, take } = setUp()
  take('1', false)
  take('2', true)
  take('3', true)
  take('4', false)
  expect(lines).toEqual(['1', '4'])
})

test('at the end without an answer, what was held back is shown', () => {
  const { lines, take, end } = setUp()
  take('1', null)
  end(null)
  expect(lines).toEqual(['1'])
})
