import type { Broker, Cluster } from './cluster.ts'

/**
 * Is there anybody at a broker's address? Asked every second by opening a connection, because the cluster itself needs
 * nine seconds to miss a broker. A frozen one still accepts connections; that is told by the copies that fall out of sync.
 */
export interface BrokerState extends Broker {
  state: 'up' | 'unreachable' | 'gone'
  /** since when it has been so */
  since: string
}

export interface BrokerWatch {
  look(cluster: Cluster | null): Promise<void>
  view(cluster: Cluster | null): BrokerState[]
}

const CONNECT_MS = 800

export function createBrokerWatch(
  canConnect: (host: string, port: number) => Promise<boolean> = accepts,
  clock: () => number = Date.now,
): BrokerWatch {
  let looking: Promise<void> | null = null
  const known = new Map<number, { broker: Broker; reachable: boolean; inCluster: boolean; since: number }>()
  async function lookOnce(cluster: Cluster | null): Promise<void> {
    for (const broker of cluster?.brokers ?? []) {
      const before = known.get(broker.id)
      if (before) before.broker = broker
      else known.set(broker.id, { broker, reachable: true, inCluster: true, since: clock() })
    }
    await Promise.all(
      [...known.values()].map(async (entry) => {
        const reachable = await canConnect(entry.broker.host, entry.broker.port)
        const inCluster = cluster === null || cluster.brokers.some((b) => b.id === entry.broker.id)
        if (reachable !== entry.reachable || inCluster !== entry.inCluster) {
          // From unreachable to gone nothing new has happened to it.
          const worse = !entry.reachable && !reachable
          if (!worse) entry.since = clock()
          Object.assign(entry, { reachable, inCluster })
        }
      }),
    )
  }

  return {
    look: (cluster) => (looking ??= lookOnce(cluster).finally(() => (looking = null))),
    view(cluster) {
      return [...known.values()]
        .map(({ broker, reachable, inCluster, since }): BrokerState => ({
          ...broker,
          is_controller: cluster?.controller === broker.id,
          state: !inCluster ? 'gone' : reachable ? 'up' : 'unreachable',
          since: new Date(since).toISOString(),
        }))
        .sort((a, b) => a.id - b.id)
    },
  }
}

/** of each address asked, where its name led to when somebody was there: a look costs half where no name is looked up */
const found = new Map<string, string>()

function accepts(host: string, port: number): Promise<boolean> {
  const address = `${host}:${port}`
  return new Promise((resolve) => {
    const done = (yes: boolean) => {
      clearTimeout(timer)
      if (!yes) found.delete(address) // it may be somewhere else by now
      resolve(yes)
    }
    const timer = setTimeout(() => done(false), CONNECT_MS)
    Bun.connect({
      hostname: found.get(address) ?? host,
      port,
      socket: {
        open(socket) {
          found.set(address, socket.remoteAddress)
          done(true)
          socket.end()
        },
        data() {},
        connectError: () => done(false),
        error: () => done(false),
      },
    }).catch(() => done(false))
  })
}
