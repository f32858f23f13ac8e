import { expect, test } from 'bun:test'
import { damaged } from './broken.ts'
import { controls, sourceOf } from './controls.ts'

test('every damage still finds its place in the source', () => {
  for (const { damages } of Object.values(controls)) {
    const texts = new Map<string, string>()
    for (const damage of damages)
      texts.set(damage.file, damaged(texts.get(damage.file) ?? sourceOf(damage.file), damage))
    expect(texts.size).toBeGreaterThan(0)
  }
})
