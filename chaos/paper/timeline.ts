import { behindIn, storedIn, sumOf, type Happening, type Sample } from '../watch/sample.ts'

/**
 * One run as a picture (SVG): the faults as bars on top; below, on the same axis, what was acknowledged and stored a
 * second, what was behind, what waited in the spools, and who owned each partition.
 */
const WIDTH = 960
const LEFT = 150
const RIGHT = 70
const LANE = 54
const BAR = 16
const GAP = 14
/** told apart in grey, too: an owner's number is written into its band */
const OWNERS = ['#4e79a7', '#f28e2b', '#59a14f', '#b07aa1', '#9c755f', '#76b7b2']

interface Bar {
  from: number
  to: number
  what: string
}

export function timeline(title: string, seen: readonly Sample[], happenings: readonly Happening[]): string {
  // from the first look that reached everybody
  const samples = seen.slice(
    Math.max(
      0,
      seen.findIndex((one) => one.database && one.kafka),
    ),
  )
  const first = samples[0]?.t ?? 0
  const last = samples.at(-1)?.t ?? first + 1
  const x = (t: number) => LEFT + ((t - first) / Math.max(1, last - first)) * (WIDTH - LEFT - RIGHT)
  const bars = faultBars(happenings, last)
  const parts: string[] = []
  let y = 34
  for (const bar of bars) {
    parts.push(
      `<rect x="${px(x(bar.from))}" y="${y}" width="${px(Math.max(2, x(bar.to) - x(bar.from)))}" height="${BAR - 3}" rx="2" class="fault"/>`,
      `<text x="${px(Math.min(x(bar.from) + 4, WIDTH - 320))}" y="${y + 10}" class="on">${escape(bar.what)}</text>`,
    )
    y += BAR
  }
  const top = y
  y += GAP
  const lanes: [string, (one: Sample, before: Sample) => number | null, string][] = [
    ['acknowledged /s', perSecond((one) => sumOf(one, 'sent')), '#4e79a7'],
    ['stored /s', perSecond(storedIn), '#59a14f'],
    ['not stored yet', (one) => behindIn(one), '#e15759'],
    ['in the spools', (one) => sumOf(one, 'spooled'), '#b07aa1'],
  ]
  const thin = everySecond(samples)
  for (const [name, value, colour] of lanes) {
    parts.push(lane(name, y, thin, value, x, colour))
    y += LANE + GAP
  }
  const partitions = samples.findLast((one) => one.database)?.database?.partitions.length ?? 0
  for (let partition = 0; partition < partitions; partition++) {
    parts.push(owners(partition, y, thin, x, last))
    y += BAR + 4
  }
  parts.push(axis(first, last, x, top, y))
  // A light ground of its own: the picture is read on pages of either colour.
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 26}" width="${WIDTH}" height="${y + 26}" role="img" aria-label="${escape(title)}">
<style>text{font:11px system-ui,sans-serif;fill:#333}.on{fill:#fff;font-size:10px}.fault{fill:#c0392b}.axis{stroke:#ccc}.title{font-size:13px;font-weight:600}.end{text-anchor:end}.strike{stroke:#c0392b;stroke-opacity:.35;stroke-dasharray:3 3}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="20" class="title">${escape(title)}</text>
${bars.map((bar) => `<line x1="${px(x(bar.from))}" x2="${px(x(bar.from))}" y1="34" y2="${y}" class="strike"/>`).join('\n')}
${parts.join('\n')}
</svg>
`
}

/** From each strike to the healing that the same script says next. */
export function faultBars(happenings: readonly Happening[], end: number): Bar[] {
  return happenings
    .filter((one) => one.event === 'strike')
    .map((strike) => {
      const over = happenings.find(
        (one) => one.by === strike.by && one.t >= strike.t && one.event === 'healed',
      )
      return { from: strike.t, to: over?.t ?? end, what: strike.what }
    })
}

/** The newest sample of each second, with the one before it. */
function everySecond(samples: readonly Sample[]): Sample[] {
  return samples.filter(
    (one, i) => Math.floor(one.t / 1000) !== Math.floor((samples[i + 1]?.t ?? Infinity) / 1000),
  )
}

function perSecond(count: (one: Sample) => number) {
  return (one: Sample, before: Sample) => {
    const seconds = (one.t - before.t) / 1000
    return seconds > 0 ? Math.max(0, (count(one) - count(before)) / seconds) : null
  }
}

function lane(
  name: string,
  y: number,
  samples: readonly Sample[],
  value: (one: Sample, before: Sample) => number | null,
  x: (t: number) => number,
  colour: string,
): string {
  const points = samples.slice(1).flatMap((one, i) => {
    const v = value(one, samples[i] ?? one)
    return v === null ? [] : [{ x: x(one.t), v }]
  })
  const most = Math.max(1, ...points.map((p) => p.v))
  const line = points.map((p) => `${px(p.x)},${px(y + LANE - (p.v / most) * LANE)}`).join(' ')
  return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y + LANE}" y2="${y + LANE}" class="axis"/>
<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="1.4"/>
<text x="${LEFT - 10}" y="${y + LANE / 2 + 4}" class="end">${name}</text>
<text x="${WIDTH - RIGHT + 6}" y="${y + 9}">${Math.round(most).toLocaleString('en')}</text>`
}

function owners(
  partition: number,
  y: number,
  samples: readonly Sample[],
  x: (t: number) => number,
  end: number,
): string {
  const bands: { from: number; to: number; owner: string }[] = []
  for (const one of samples) {
    const owner = one.database?.partitions[partition]?.owner ?? ''
    const band = bands.at(-1)
    if (band?.owner === owner) band.to = one.t
    else {
      if (band) band.to = one.t
      bands.push({ from: one.t, to: one.t, owner })
    }
  }
  const shapes = bands.map(({ from, to, owner }, i) => {
    const until = i === bands.length - 1 ? end : to
    const number = Number(owner.replace(/^\D+/, ''))
    const colour = OWNERS[(number - 1 + OWNERS.length) % OWNERS.length] ?? '#999'
    const label =
      x(until) - x(from) > 60
        ? `<text x="${px(x(from) + 4)}" y="${y + 12}" class="on">${escape(owner)}</text>`
        : ''
    return `<rect x="${px(x(from))}" y="${y}" width="${px(Math.max(1, x(until) - x(from)))}" height="${BAR}" fill="${colour}"/>${label}`
  })
  return `<text x="${LEFT - 10}" y="${y + 12}" class="end">partition ${partition}</text>${shapes.join('')}`
}

function axis(first: number, last: number, x: (t: number) => number, top: number, bottom: number): string {
  const step = last - first > 240_000 ? 60_000 : last - first > 90_000 ? 20_000 : 10_000
  const marks: string[] = []
  for (let t = first; t <= last; t += step) {
    marks.push(
      `<line x1="${px(x(t))}" x2="${px(x(t))}" y1="${top}" y2="${bottom}" class="axis" stroke-opacity=".5"/><text x="${px(x(t))}" y="${bottom + 16}" text-anchor="middle">${Math.round((t - first) / 1000)} s</text>`,
    )
  }
  return marks.join('\n')
}

function px(value: number): string {
  return value.toFixed(1)
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
