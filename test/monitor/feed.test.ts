import { expect, test } from 'bun:test'
import { createDataFeed } from '../../lib/monitor/feed.ts'
import { createChannel } from '../../lib/monitor/page/channel.ts'
import { h } from '../../lib/monitor/page/tree.ts'
import { createStreams, type Feed } from '../../lib/monitor/stream.ts'
import { snapshot } from './played.ts'

let number = 1
const feeds: [string, () => Feed][] = [
  ['the data', () => createDataFeed(() => snapshot(number))],
  [
    'a page',
    () =>
      createChannel(
        () => h('p', null, `snapshot ${number}`),
        () => number,
      ),
  ],
]

test.each(feeds)('%s: what viewers begin with is made once a snapshot', (_, make) => {
  const feed = make()
  const first = feed.whole()
  expect(feed.whole()).toBe(first)
  number++
  const second = feed.whole()
  expect(second).not.toBe(first)
  expect(second.data).not.toBe(first.data)
  expect(feed.whole()).toBe(second)
})

test('each viewer begins with the whole, and goes on with what changed', async () => {
  const [, make] = feeds[1]!
  const feed = make()
  const streams = createStreams()
  const readers = [1, 2].map(() => streams.open('page', feed, null, null).body!.getReader())
  const read = async (reader: (typeof readers)[0], parts: number) => {
    let text = ''
    for (let i = 0; i < parts; i++) text += new TextDecoder().decode((await reader.read()).value)
    return text
  }
  const begun = await Promise.all(readers.map((r) => read(r, 2)))
  expect(begun[0]).toBe(begun[1]!)
  expect(begun[0]).toMatch(/^retry: 1000\n\nid: \d+\nevent: tree\ndata: \{.*snapshot \d+.*\}\n\n$/)
  number++
  streams.tick()
  expect(await read(readers[1]!, 1)).toMatch(/^id: \d+\nevent: patch\n/)
  streams.close()
})
