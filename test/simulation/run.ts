import { parseArgs } from 'node:util'
import { log } from '../../lib/log.ts'
import { runSeed } from './seed.ts'

/**
 * `bun test/simulation/run.ts --from 1 --count 1000`: seeds one after the other, a JSON line for each that fails and one
 * for the whole. `--until-red` stops at the first that fails.
 */
const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    'until-red': { type: 'boolean' },
    /** what the product says: nothing, or everything */
    log: { type: 'string', default: 'NONE' },
  },
})
if (values.log === 'NONE') process.stderr.write = () => true
log.configure({ level: values.log === 'NONE' ? 'ERROR' : 'DEBUG', service: 'simulation' })
const started = performance.now()
const sum = { seeds: 0, red: 0, accepted: 0, repeats: 0, claims: 0 }
for (let seed = Number(values.from); seed < Number(values.from) + Number(values.count); seed++) {
  const outcome = await runSeed(seed)
  sum.seeds++
  sum.accepted += outcome.accepted
  sum.repeats += outcome.repeats
  sum.claims += outcome.claims
  if (outcome.faults.length === 0) continue
  sum.red++
  console.log(JSON.stringify({ seed, faults: outcome.faults.slice(0, 5) }))
  if (values['until-red']) break
}
console.log(JSON.stringify({ ...sum, ms: Math.round(performance.now() - started) }))
process.exit(sum.red > 0 ? 1 : 0)
