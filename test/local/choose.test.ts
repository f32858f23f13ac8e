import { expect, test } from 'bun:test'
import { chooseServer } from '../../lib/local/choose.ts'

const no = { ownRuns: false, isGiven: false, isOwnAddress: false, answers: false }
const cases = [
  ['nothing is set: our own', no, 'own'],
  [
    'nothing is set and a stranger answers on our port: still our own, so that the port is reported',
    { ...no, answers: true, isOwnAddress: true },
    'own',
  ],
  ['a named server that answers is used', { ...no, isGiven: true, answers: true }, 'given'],
  [
    'our own state comes before a named server',
    { ...no, ownRuns: true, isGiven: true, answers: true },
    'own',
  ],
  ['a named server that is silent is not replaced in silence', { ...no, isGiven: true }, 'unreachable'],
  [
    'but where ours would have that address, ours is meant',
    { ...no, isGiven: true, isOwnAddress: true },
    'own',
  ],
  [
    'a server that was started by hand at our address is used when it is named',
    { ...no, isGiven: true, isOwnAddress: true, answers: true },
    'given',
  ],
] as const

test.each(cases)('chooseServer(): %s', (_reason, seen, choice) => {
  expect(chooseServer(seen)).toBe(choice)
})
