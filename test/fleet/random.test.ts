import { expect, test } from 'bun:test'
import { createNoise, createRandom } from '../../lib/fleet/random.ts'

const N = 100_000

test('a seed gives the same numbers again, another seed others', () => {
  const draw = (seed: string) => {
    const random = createRandom(seed)
    return Array.from({ length: 20 }, random.next)
  }
  expect(draw('1/temp-sensor-001')).toEqual(draw('1/temp-sensor-001'))
  expect(draw('1/temp-sensor-001')).not.toEqual(draw('1/temp-sensor-002'))
  expect(draw('1')).not.toEqual(draw('2'))
})

test('draws are even over [0, 1), whole numbers reach both ends', () => {
  const random = createRandom('even')
  const draws = Array.from({ length: N }, random.next)
  expect(Math.min(...draws.slice(0, 50_000))).toBeGreaterThanOrEqual(0)
  expect(draws.every((x) => x < 1)).toBe(true)
  for (let tenth = 0; tenth < 10; tenth++) {
    const share = draws.filter((x) => Math.floor(x * 10) === tenth).length / N
    expect(Math.abs(share - 0.1)).toBeLessThan(0.005)
  }
  expect(new Set(Array.from({ length: 200 }, () => random.whole(3, 6)))).toEqual(new Set([3, 4, 5, 6]))
})

test('noise is a function of stream and position, whatever was asked before', () => {
  const a = createNoise('x')
  const b = createNoise('x')
  const far = 2 ** 45 + 7
  const forwards = [1, 2, far].map((n) => a.gauss(1, n))
  const backwards = [far, 2, 1].map((n) => b.gauss(1, n)).reverse()
  expect(forwards).toEqual(backwards)
  expect(a.gauss(1, 1)).not.toBe(a.gauss(2, 1))
  expect(a.uniform(1, 5)).not.toBe(a.uniform(1, 5 + 2 ** 32))
})

test('noise is normal: mean 0, deviation 1, tails as thin as they should be, neighbours and streams unrelated', () => {
  const noise = createNoise('normal')
  const x = Array.from({ length: N }, (_, n) => noise.gauss(1, 500_000_000 + n))
  const y = Array.from({ length: N }, (_, n) => noise.gauss(2, 500_000_000 + n))
  const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length
  expect(Math.abs(mean(x))).toBeLessThan(0.015)
  expect(Math.abs(mean(x.map((v) => v * v)) - 1)).toBeLessThan(0.02)
  const beyond3 = x.filter((v) => Math.abs(v) > 3).length / N // 0.0027
  expect(beyond3).toBeGreaterThan(0.002)
  expect(beyond3).toBeLessThan(0.0034)
  expect(Math.abs(mean(x.slice(1).map((v, i) => v * x[i]!)))).toBeLessThan(0.015)
  expect(Math.abs(mean(x.map((v, i) => v * y[i]!)))).toBeLessThan(0.015)
})
