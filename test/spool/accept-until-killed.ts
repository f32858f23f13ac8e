import { partitionOf } from '../../lib/kafka/partitioner.ts'
import { openSpool } from '../../lib/spool/spool.ts'
import { measuredMany } from './measured.ts'

/** A program for the tests: accepts for ever and says on stdout, after each commit, how many are accepted in all. */
const [directory = '', producerId = ''] = process.argv.slice(2)
const spool = openSpool({
  directory,
  producerId,
  maxBytes: 256 * 1024 * 1024,
  whenFull: 'block',
  partitionOf: (_, key) => partitionOf(key, 3),
})
for (let accepted = 0; ;) {
  const sizes = [1, 7, 250]
  await Promise.all(
    sizes.map(async (size) => {
      await spool.accept(measuredMany(size, 10, { from: accepted }))
      accepted += size
      process.stdout.write(`${accepted}\n`)
    }),
  )
}
