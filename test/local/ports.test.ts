import { expect, test } from 'bun:test'
import { freePorts, listeningSockets, listenersOn, portReport } from '../../lib/local/ports.ts'

test('listenersOn() names the process that holds a port', async () => {
  using server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
  const port = server.port ?? 0
  const [free = 0] = await freePorts(1)
  const found = await listenersOn([port, free])
  expect(found.map(({ port, pid }) => ({ port, pid }))).toEqual([{ port, pid: process.pid }])
  expect(found[0]?.command).toContain('bun')
})

test('listeningSockets() reads the table of the kernel and leaves connections out', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0100007F:2384 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1`
  expect(listeningSockets(table)).toEqual([{ port: 9092, inode: '4711' }])
})

test('portReport() says which port, by whom, and how to move all of them', () => {
  const report = portReport(
    [
      {
        port: 9092,
        what: 'Kafka node 1',
        pid: 42,
        command: `java -cp ${'/a/very/long/path.jar:'.repeat(50)} kafka.Kafka`,
      },
      { port: 5432, what: 'PostgreSQL', pid: null, command: null },
    ],
    0,
  )
  expect(report).toBe(`Cannot start: 2 port(s) are taken
  port 9092 (Kafka node 1) is taken by pid 42: java -cp /a/very/long/path.jar:/a… kafka.Kafka
  port 5432 (PostgreSQL) is taken by a process of another user
End what holds them, or move all ports of this plant: PORT_OFFSET=10000 bun start`)
})
