/** One line a stage on stderr, with its seconds; on a terminal the line counts while it waits. */
export interface Stages {
  /** Runs a stage; what it resolves to is written behind its seconds. */
  run<T>(
    name: string,
    work: (progress: (text: string) => void) => Promise<T>,
    tell?: (result: T) => string,
  ): Promise<T>
  note(name: string, text: string): void
}

const NAME_WIDTH = 14
const TICK_MS = 200

export function createStages(
  out: { isTTY?: boolean; write(text: string): unknown } = process.stderr,
): Stages {
  const open: { name: string; started: number; text: string }[] = []
  let shown = 0

  const clear = () => {
    if (shown > 0) out.write(`\u001b[${shown}A\u001b[0J`)
    shown = 0
  }
  const draw = () => {
    if (!out.isTTY) return
    clear()
    for (const stage of open) out.write(`${line(stage.name, stage.started, stage.text)}\n`)
    shown = open.length
  }
  const print = (text: string) => {
    clear()
    out.write(`${text}\n`)
    draw()
  }

  return {
    async run(name, work, tell = () => '') {
      const stage = { name, started: performance.now(), text: '…' }
      open.push(stage)
      draw()
      const tick = out.isTTY ? setInterval(draw, TICK_MS) : undefined
      const leave = () => {
        clearInterval(tick)
        open.splice(open.indexOf(stage), 1)
      }
      try {
        const result = await work((text) => (stage.text = text))
        leave()
        print(line(name, stage.started, tell(result)))
        return result
      } catch (error) {
        leave()
        print(line(name, stage.started, 'failed'))
        throw error
      }
    },
    note: (name, text) => print(`${name.padEnd(NAME_WIDTH)}        ${text}`),
  }
}

/** `[########--------] 27 of 54 MB` */
export function progressBar(done: number, total: number): string {
  const filled = Math.round((Math.min(done, total) / total) * 20)
  return `[${'#'.repeat(filled)}${'-'.repeat(20 - filled)}] ${Math.round(done / 1e6)} of about ${Math.round(total / 1e6)} MB`
}

function line(name: string, started: number, text: string): string {
  const seconds = `${((performance.now() - started) / 1000).toFixed(1)} s`
  return `${name.padEnd(NAME_WIDTH)}${seconds.padStart(7)} ${text}`.trimEnd()
}
