import { expect, test } from 'bun:test'
import { metrics } from '../lib/metrics.ts'
import { freePorts } from '../lib/local/ports.ts'

const batch = (over: object = {}) => ({
  counters: { stored: 0, dead_lettered: 0, repeated: 0, conflicting: 0, ...over },
  raised: [],
  cleared: [],
})

test('metrics.serve() answers Prometheus with what was counted', async () => {
  const [port = 0] = await freePorts(1)
  metrics.serve('127.0.0.1', port)
  metrics.produced('t', 20, 0.012)
  metrics.produceFailed('NOT_ENOUGH_REPLICAS')
  metrics.produceFailed('a sentence with a sensor id in it')
  metrics.stored('t', 1, batch({ stored: 7, repeated: 2 }), 30, 250)
  metrics.stored('t', 1, batch({ stored: 1 }), 30, null)
  metrics.rebalanced('g', 2)
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  for (const line of [
    'factory_messages_produced_total{topic="t"} 20',
    'factory_produce_errors_total{error_type="NOT_ENOUGH_REPLICAS"} 1',
    'factory_produce_errors_total{error_type="other"} 1',
    'factory_messages_consumed_total{topic="t",partition="1",result="stored"} 8',
    'factory_messages_consumed_total{topic="t",partition="1",result="duplicate"} 2',
    'factory_end_to_end_latency_seconds_count{topic="t"} 1',
    'factory_end_to_end_latency_seconds_bucket{le="0.25",topic="t"} 1',
    'factory_process_duration_seconds_count{topic="t"} 2',
    'factory_assigned_partitions{group="g"} 2',
  ]) {
    expect(text).toContain(`\n${line}\n`)
  }
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404)
})

test('a port that is taken stops nobody', async () => {
  const taken = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('') })
  expect(() => metrics.serve('127.0.0.1', taken.port)).not.toThrow()
  await taken.stop(true)
})
