import uPlot from './uplot.js'

// The big charts, on the islands that the server leaves to the page.

const RANGES = { '10m': 600, '1h': 3600, '6h': 21600, '24h': 86400, '7d': 604800, '30d': 2592000 }
const SYNC = uPlot.sync('time')
const REFRESH_MS = 10_000

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

export function drawCharts() {
  for (const place of document.querySelectorAll('[data-island]')) chart(place)
}

function chart(place) {
  const kind = place.dataset.island
  const buttons = document.createElement('div')
  buttons.className = 'ranges'
  const plots = document.createElement('div')
  plots.className = kind === 'flow' ? 'trends' : ''
  place.replaceChildren(buttons, plots)

  let range = '1h'
  let drawn = []
  for (const name of Object.keys(RANGES)) {
    const button = document.createElement('button')
    button.type = 'button'
    button.textContent = name
    button.addEventListener('click', () => {
      range = name
      void load()
    })
    buttons.append(button)
  }

  async function load() {
    for (const button of buttons.children)
      button.setAttribute('aria-pressed', String(button.textContent === range))
    const to = new Date()
    const from = new Date(to.getTime() - RANGES[range] * 1000)
    const url = new URL(place.dataset.source, location.href)
    url.searchParams.set('from', from.toISOString())
    url.searchParams.set('to', to.toISOString())
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(5000) })
      if (!answer.ok) return
      draw(await answer.json())
    } catch {
      // what was drawn stays; its time axis says how old it is
    }
  }

  function draw(data) {
    const at = data.points.map((p) => Date.parse(p.at) / 1000)
    const sets =
      kind === 'flow'
        ? [
            [
              'Stored per second',
              [
                ['stored', data.points.map((p) => p.stored_per_second)],
                ['produced', data.points.map((p) => p.produced_per_second)],
              ],
            ],
            ['Messages waiting', [['waiting', data.points.map((p) => p.lag)]]],
            ['End to end, p99, ms', [['p99', data.points.map((p) => p.end_to_end_ms_p99)]]],
          ]
        : [
            [
              place.dataset.unit,
              [
                ['mean', data.points.map((p) => p.mean)],
                ['lowest', data.points.map((p) => p.min)],
                ['highest', data.points.map((p) => p.max)],
              ],
            ],
          ]
    const range = [Date.parse(data.from) / 1000, Date.parse(data.to) / 1000]
    if (drawn.length === sets.length) {
      sets.forEach(([, series], i) => {
        drawn[i].setData([at, ...series.map(([, values]) => values)], false)
        drawn[i].setScale('x', { min: range[0], max: range[1] })
      })
      return
    }
    plots.replaceChildren()
    drawn = sets.map(([title, series]) => {
      const cell = document.createElement('div')
      cell.className = 'trend'
      plots.append(cell)
      return new uPlot(options(title, series, cell, range), [at, ...series.map(([, values]) => values)], cell)
    })
  }

  new ResizeObserver(() => {
    for (const plot of drawn)
      plot.setSize({ width: Math.max(200, plot.root.parentElement.clientWidth), height: 220 })
  }).observe(plots)
  void load()
  setInterval(() => document.hidden || void load(), REFRESH_MS)
}

function options(title, series, cell, range) {
  const strokes = [colour('--series'), colour('--soft'), colour('--warning')]
  const axis = {
    stroke: colour('--soft'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line') },
  }
  return {
    title,
    width: Math.max(200, cell.clientWidth),
    height: 220,
    cursor: { sync: { key: SYNC.key } },
    scales: {
      x: { time: true, min: range[0], max: range[1] },
      y: { range: (_, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) },
    },
    axes: [axis, { ...axis, size: 60 }],
    // A dash of its own for each line: colour alone says nothing to some eyes.
    series: [
      {},
      ...series.map(([label], i) => ({
        label,
        stroke: strokes[i],
        width: 1.5,
        dash: [[], [6, 4], [2, 3]][i],
        spanGaps: false,
      })),
    ],
  }
}
