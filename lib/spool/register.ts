import type { Database } from 'bun:sqlite'

/** Who is known in this spool, and where their numbers are. */
export interface Register {
  stream(topic: string, key: string): Stream | undefined
  addStream(topic: string, key: string): Stream
  sensor(sensorId: string): Sensor | undefined
  addSensor(sensorId: string): Sensor
}

/** One running number: a key of a topic. */
export interface Stream {
  stream: number
  topic: string
  key: string
  partition: number
  nextSeq: number
}

export interface Sensor {
  sensor: number
  sensorId: string
}

const MOVE_BYTES = 12 // stream u32 · next seq f64

export function encodeMoves(streams: ReadonlySet<Stream>): Buffer {
  const body = Buffer.allocUnsafe(streams.size * MOVE_BYTES)
  let at = 0
  for (const { stream, nextSeq } of streams) {
    at = body.writeUInt32LE(stream, at)
    at = body.writeDoubleLE(nextSeq, at)
  }
  return body
}

/** As the file knows them. */
export function loadRegister(db: Database, partitionOf: (topic: string, key: string) => number): Register {
  const streams: Stream[] = []
  const byTopic = new Map<string, Map<string, Stream>>() // looked up once a message, so without joining strings
  const sensors = new Map<string, Sensor>()

  const put = (topic: string, key: string, nextSeq: number): Stream => {
    const stream = { stream: streams.length, topic, key, partition: partitionOf(topic, key), nextSeq }
    streams.push(stream)
    const byKey = byTopic.get(topic) ?? new Map<string, Stream>()
    byTopic.set(topic, byKey.set(key, stream))
    return stream
  }
  const addSensor = (sensorId: string): Sensor => {
    const sensor = { sensor: sensors.size, sensorId }
    sensors.set(sensorId, sensor)
    return sensor
  }

  const streamRows = db.query<{ topic: string; key: string; next_seq: number }, []>(
    'select topic, key, next_seq from streams order by stream',
  )
  for (const { topic, key, next_seq } of streamRows.iterate()) put(topic, key, next_seq)
  carryMoves(db, streams)
  const sensorRows = db.query<{ sensor_id: string }, []>('select sensor_id from sensors order by sensor')
  for (const { sensor_id } of sensorRows.iterate()) addSensor(sensor_id)

  return {
    stream: (topic, key) => byTopic.get(topic)?.get(key),
    addStream: (topic, key) => put(topic, key, 1),
    sensor: (sensorId) => sensors.get(sensorId),
    addSensor,
  }
}

/** Where each running number is, for readers: the rows, and what the newest commits have moved since. */
export function nextSeqs(db: Database): { topic: string; key: string; nextSeq: number }[] {
  const streams = db
    .query<{ topic: string; key: string; next_seq: number }, []>(
      'select topic, key, next_seq from streams order by stream',
    )
    .all()
    .map(({ topic, key, next_seq }) => ({ topic, key, nextSeq: next_seq }))
  eachMove(db, (number, nextSeq) => {
    const stream = streams[number]
    if (stream) stream.nextSeq = nextSeq
  })
  return streams
}

/** Carries what the commits of an earlier life have moved into its rows. */
function carryMoves(db: Database, streams: readonly Stream[]): void {
  const moved = new Set<Stream>()
  eachMove(db, (number, nextSeq) => {
    const stream = streams[number]
    if (!stream) throw new Error(`Cannot open the spool: it has no stream ${number}`)
    stream.nextSeq = nextSeq
    moved.add(stream)
  })
  const move = db.query('update streams set next_seq = ? where stream = ?')
  db.transaction(() => {
    for (const { stream, nextSeq } of moved) move.run(nextSeq, stream)
    db.run('delete from moves')
  })()
}

function eachMove(db: Database, take: (stream: number, nextSeq: number) => void): void {
  const rows = db.query<{ body: Uint8Array }, []>('select body from moves order by move').all()
  for (const row of rows) {
    const body = Buffer.from(row.body)
    for (let at = 0; at < body.length; at += MOVE_BYTES)
      take(body.readUInt32LE(at), body.readDoubleLE(at + 4))
  }
}
