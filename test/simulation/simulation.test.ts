import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { breakTree, type Damage } from '../controls/broken.ts'
import { controls, type ControlName } from '../controls/controls.ts'

/**
 * The producer's and the consumer's own decisions under a seeded world: lost answers, late requests, COMMITs of unknown end, kills
 * and freezes at any await, rebalances. SEEDS=10000 for the long run; what fails names its seed, and is kept below.
 */
const SEEDS = Number(process.env.SEEDS ?? 300)
const FROM = Number(process.env.SEED ?? 1)
const LONG = 2000
const ROOT = join(import.meta.dir, '../..')

/**
 * Seeds that have found something, and the damage that takes its mending out again; none where it shows too seldom, and a test
 * of its own brings it about. New ones are added as they are found.
 */
const KEPT: { seed: number; found: string; unmended: Damage[] | null }[] = [
  {
    seed: 386,
    found: 'a claim that ended in the middle of the next one let messages into a state half taken over',
    unmended: [
      {
        file: 'lib/ingest/worker.ts',
        from: 'return inTurn(() => takeOver(range)).catch(',
        to: 'return takeOver(range).catch(',
      },
      { file: 'lib/ingest/intake.ts', from: 'from > held.position', to: 'from > Infinity' },
    ],
  },
  {
    seed: 171,
    found: 'a connection that had once been refused was asked for ever',
    unmended: [
      {
        file: 'lib/kafka/client.ts',
        from: '(!connected || isUnreachable(error))',
        to: 'isUnreachable(error)',
      },
    ],
  },
  {
    seed: 3878,
    found: 'a look at the tables took back what another partition had registered meanwhile',
    unmended: null, // test/ingest/keys.test.ts
  },
  {
    seed: 5409,
    found: 'a claim that another had overtaken told people that detectors learn anew',
    unmended: null, // test/ingest/claim.db.test.ts
  },
]
/** Broken builds that show themselves here; the others need real brokers. */
const SHOWN: ControlName[] = [
  'autoCommit',
  'noCompareAndSet',
  'noFence',
  'noMark',
  'kafkaOffsets',
  'lettersOnErrors',
  'clockIds',
]

setDefaultTimeout(900_000)

interface Simulated {
  code: number
  lines: Record<string, unknown>[]
}

async function simulate(root: string, args: string[]): Promise<Simulated> {
  const child = Bun.spawn([process.execPath, join(root, 'test/simulation/run.ts'), ...args], {
    cwd: root,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const lines = (await new Response(child.stdout).text()).split('\n').filter(Boolean)
  return { code: await child.exited, lines: lines.map((line) => JSON.parse(line)) }
}

describe('a simulated plant', () => {
  test(`loses, doubles and invents nothing under ${SEEDS} seeds from ${FROM} on`, async () => {
    const half = Math.ceil(SEEDS / 2)
    const halves = await Promise.all([
      simulate(ROOT, ['--from', String(FROM), '--count', String(half)]),
      simulate(ROOT, ['--from', String(FROM + half), '--count', String(SEEDS - half)]),
    ])
    const sums = halves.map(({ lines }) => lines.pop())
    console.log(sums.map((sum) => JSON.stringify(sum)).join('\n'))
    expect(halves.flatMap(({ lines }) => lines)).toEqual([])
    expect(halves.map(({ code }) => code)).toEqual([0, 0])
    expect(sums.reduce((all, sum) => all + Number(sum?.seeds), 0)).toBe(SEEDS)
  })

  for (const { seed, found } of KEPT) {
    test(`is true under seed ${seed}, which found: ${found}`, async () => {
      expect((await simulate(ROOT, ['--from', String(seed)])).lines).toEqual([
        expect.objectContaining({ red: 0 }),
      ])
    })
  }
})

describe('the simulation turns red', () => {
  for (const name of SHOWN) {
    test(`where ${controls[name].name}`, async () => {
      const { root, remove } = breakTree(controls[name].damages)
      try {
        const { lines } = await simulate(root, ['--count', '200', '--until-red'])
        expect(lines.at(-1)).toMatchObject({ red: 1 })
        console.log(`${name}: seed ${String(lines[0]?.seed)}: ${String((lines[0]?.faults as string[])[0])}`)
      } finally {
        remove()
      }
    })
  }

  // Where the source moves on, a seed leads elsewhere: what was found is looked for among many, in the long run only.
  for (const { found, unmended } of SEEDS >= LONG ? KEPT : []) {
    if (unmended === null) continue
    test(`where ${found}`, async () => {
      const { root, remove } = breakTree(unmended)
      try {
        const { lines } = await simulate(root, ['--count', String(SEEDS), '--until-red'])
        expect(lines.at(-1)).toMatchObject({ red: 1 })
      } finally {
        remove()
      }
    })
  }
})
