import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { violatedIn, type Verdict } from '../../chaos/judge/verdict.ts'
import { breakTree } from './broken.ts'
import { controls } from './controls.ts'
import { judged } from './judged.ts'
import { trials, type Struck } from './strikes.ts'

/**
 * Broken builds under the judge: each must turn it red, and the sound one must not. CONTROLS=3 runs the quick ones (1: the
 * quickest alone), CONTROLS=all all that real brokers can show, CONTROLS=noMark,oneAck those. The simulation has the tenth.
 */
const QUICK: Struck[] = ['noMark', 'clockIds', 'idempotent']
const ALL = Object.keys(trials) as Struck[]
const asked = process.env.CONTROLS ?? '1'
const chosen = /^\d+$/.test(asked)
  ? QUICK.slice(0, Number(asked))
  : asked === 'all'
    ? ALL
    : (asked.split(',') as Struck[])

setDefaultTimeout(300_000)

describe('the judge', () => {
  test.concurrent('finds nothing in a sound build whose producer loses answers', async () => {
    const verdict = await judged(trials.noMark, trials.noMark.strike)
    report('sound', verdict)
    expect(failuresOf(verdict)).toEqual([])
    const looked = verdict.invariants.filter((i) => i.verdict === 'held').map((i) => i.id)
    expect(looked).toEqual(
      expect.arrayContaining(['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'I11', 'I12']),
    )
  })

  for (const name of chosen) {
    // Two plants at once where nobody strikes what they share.
    const run = name === 'noMark' ? test.concurrent : test
    run(`sees it where ${controls[name].name}`, async () => {
      const { root, remove } = breakTree(controls[name].damages)
      try {
        const verdict = await judged({ ...trials[name], root }, trials[name].strike)
        report(name, verdict)
        const shown = violatedIn(verdict).filter((id) => (controls[name].shows as string[]).includes(id))
        expect(shown).not.toEqual([])
      } finally {
        remove()
      }
    })
  }
})

function failuresOf(verdict: Verdict): string[] {
  return verdict.invariants.flatMap((i) =>
    i.verdict === 'violated' ? [`${i.id}: ${i.examples.join(' | ')}`] : [],
  )
}

function report(name: string, verdict: Verdict): void {
  console.log(
    `${name}: ${violatedIn(verdict).join(', ') || 'nothing'} violated; ${JSON.stringify(verdict.readings)}`,
  )
  for (const i of verdict.invariants)
    for (const example of i.examples.slice(0, 2)) console.log(`  ${i.id}: ${example}`)
}
