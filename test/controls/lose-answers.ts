import net from 'node:net'
import { createRandom } from '../failure/random.ts'

/**
 * Loaded before a producer: LOSE_ANSWERS=0.1 lets one answer in ten to a batch get lost on its way. The broker has
 * written the batch; the client sees a broken connection, as after a cable was pulled at the wrong moment.
 */
const share = Number(process.env.LOSE_ANSWERS ?? 0)
const random = createRandom(Number(process.env.KILL_SEED ?? process.pid))
const PRODUCE = 0
const connect = net.connect as (...args: unknown[]) => net.Socket

net.connect = ((...args: unknown[]) => lossy(connect(...args))) as typeof net.connect

function lossy(socket: net.Socket): net.Socket {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  const emit = socket.emit.bind(socket) as (...args: unknown[]) => boolean
  let doomed = false
  socket.write = ((...args: unknown[]) => {
    const [bytes] = args
    // a request: length (4 bytes), what it asks for (2 bytes) …
    if (Buffer.isBuffer(bytes) && bytes.length > 6 && bytes.readInt16BE(4) === PRODUCE && random() < share)
      doomed = true
    return write(...args)
  }) as typeof socket.write
  socket.emit = ((...args: unknown[]) => {
    if (args[0] !== 'data' || !doomed) return emit(...args)
    doomed = false
    socket.destroy()
    return true
  }) as typeof socket.emit
  return socket
}
