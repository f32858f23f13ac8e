import { applyPatches, morph } from './patch.js'
import { drawCharts } from './charts.js'

// The page's only script: keeps it fresh over one stream, says loudly when it can't, and counts ages by the server's
// clock. Without it the page is complete, only not live.

const root = document.documentElement
const view = root.dataset.view
const STALE_AFTER_MS = 9000 // two missed heartbeats of four seconds
const POLL_MS = 5000
const skewMs = Number(root.dataset.time) - Date.now()
let version = Number(root.dataset.version)
let heardAt = Date.now()
let attempts = 0
let failures = 0
let source = null
let polling = false
let paused = false
let held = []

const page = () => document.getElementById('page')
const serverNow = () => Date.now() + skewMs

function connect() {
  if (!view) return
  source?.close()
  source = new EventSource(`/events?view=${encodeURIComponent(view)}&from=${version}`)
  source.addEventListener('patch', (event) => receive('patch', event))
  source.addEventListener('tree', (event) => receive('tree', event))
  source.addEventListener('beat', heard)
  source.onopen = heard
  source.onerror = () => {
    failures++
    // Twice in a row nothing came through: streams don't pass here, questions may.
    if (failures >= 2 && !polling) {
      polling = true
      void poll()
    }
  }
}

function heard() {
  heardAt = Date.now()
  attempts = 0
  failures = 0
  polling = false
}

function receive(kind, event) {
  heard()
  if (paused) {
    held.push([kind, event])
    if (held.length > 600) held = [['resync', event]]
    return showPause()
  }
  show(kind, event)
}

function show(kind, event) {
  if (kind === 'resync') return reconnect()
  if (kind === 'tree') {
    morph(page(), JSON.parse(event.data))
  } else {
    const { from, patches } = JSON.parse(event.data)
    if (from !== version) return reconnect()
    try {
      applyPatches(page(), patches)
    } catch {
      return reconnect()
    }
  }
  version = Number(event.lastEventId)
  tellTimes()
}

/** From the beginning: the whole page comes again. */
function reconnect() {
  version = 0
  connect()
}

/** Where streams don't pass: ask for the page's tree every few seconds. */
async function poll() {
  try {
    const answer = await fetch(`/tree?view=${encodeURIComponent(view)}`, {
      signal: AbortSignal.timeout(4000),
    })
    if (answer.status === 401) return logIn()
    if (!answer.ok) throw new Error(String(answer.status))
    const { tree } = await answer.json()
    if (!paused) morph(page(), tree)
    version = 0
    heardAt = Date.now()
    tellTimes()
  } catch {
    // the banner says so
  }
}

/** The session is over. */
function logIn() {
  location.assign(`/login?to=${encodeURIComponent(location.pathname + location.search)}`)
}

function ageText(ms) {
  const s = Math.max(0, ms / 1000)
  if (s < 10) return `${s.toFixed(1)} s`
  if (s < 120) return `${Math.round(s)} s`
  if (s < 7200) return `${Math.round(s / 60)} min`
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`
}

const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone

function tellTimes() {
  const now = serverNow()
  for (const time of document.querySelectorAll('time[data-age]')) {
    setText(time, `${ageText(now - Date.parse(time.dateTime))} ago`)
  }
  for (const time of document.querySelectorAll('time[data-local]')) {
    setText(time, clockFormat.format(new Date(time.dateTime)))
  }
}

function setText(element, text) {
  if (element.firstChild && element.firstChild.data !== text) element.firstChild.data = text
}

function watch() {
  const silentMs = Date.now() - heardAt
  const banner = document.getElementById('stale')
  const stale = Boolean(view) && silentMs > STALE_AFTER_MS
  root.classList.toggle('stale', stale)
  if (stale) {
    banner.hidden = false
    banner.textContent = `▨ STALE: no data for ${Math.round(silentMs / 1000)} s, reconnecting (${attempts})`
  } else if (!paused) {
    banner.hidden = true
  }
  // EventSource reconnects by itself unless it was refused or the connection hangs.
  if (stale && (source?.readyState === 2 || silentMs > STALE_AFTER_MS * (attempts + 1))) {
    attempts++
    connect()
  }
  const skew = Math.abs(skewMs)
  document.getElementById('clock').textContent =
    `Times in ${zone}` +
    (skew > 2000 ? `; this computer’s clock differs by ${Math.round(skew / 1000)} s` : '')
  tellTimes()
}

function showPause() {
  const button = document.getElementById('pause')
  const banner = document.getElementById('stale')
  button.textContent = paused ? 'Go on' : 'Pause'
  button.setAttribute('aria-pressed', String(paused))
  root.classList.toggle('paused', paused)
  if (paused) {
    banner.hidden = false
    banner.textContent = `Paused: ${held.length} update${held.length === 1 ? '' : 's'} held`
  }
}

function togglePause() {
  paused = !paused
  if (!paused) {
    for (const [kind, event] of held.splice(0)) show(kind, event)
  }
  showPause()
}

const THEMES = ['', 'light', 'dark']
function setTheme(theme) {
  if (theme) root.dataset.theme = theme
  else delete root.dataset.theme
  const button = document.getElementById('theme')
  button.textContent = `Theme: ${theme || 'system'}`
  try {
    localStorage.setItem('theme', theme)
  } catch {
    // storage is off: the choice lasts for this page
  }
}
function storedTheme() {
  try {
    return localStorage.getItem('theme') ?? ''
  } catch {
    return ''
  }
}

/** A button that acts: the answer is told in place, the change itself comes over the stream. */
async function act(form) {
  const buttons = form.querySelectorAll('button')
  for (const button of buttons) button.disabled = true
  try {
    const answer = await fetch(form.action, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ''))),
      signal: AbortSignal.timeout(6000),
    })
    if (answer.ok) return view ? undefined : location.reload()
    if (answer.status === 401) return logIn()
    const problem = await answer.json()
    tell(problem.detail ?? problem.title)
  } catch {
    tell('Not done: the monitor does not answer')
  } finally {
    for (const button of buttons) button.disabled = false
  }
}

function tell(text) {
  const note = document.createElement('p')
  note.className = 'notice failed'
  note.textContent = text
  document.getElementById('notes').append(note)
  setTimeout(() => note.remove(), 10_000)
}

document.addEventListener('submit', (event) => {
  const form = event.target
  if (form.method !== 'post' || !new URL(form.action).pathname.startsWith('/api/')) return
  event.preventDefault()
  void act(form)
})

let row = null
function goToRow(step) {
  const rows = [...document.querySelectorAll('main tbody tr')]
  if (rows.length === 0) return
  const at = row && rows.includes(row) ? rows.indexOf(row) + step : step > 0 ? 0 : rows.length - 1
  row?.classList.remove('here')
  row = rows[Math.min(rows.length - 1, Math.max(0, at))]
  row.classList.add('here')
  row.scrollIntoView({ block: 'nearest' })
  const target = row.querySelector('a, button')
  target?.focus({ preventScroll: true })
}

const KEYS = {
  j: () => goToRow(1),
  k: () => goToRow(-1),
  a: () => {
    const form = row?.querySelector('form[action$="/acknowledge"]')
    if (form) void act(form)
  },
  p: () => view && togglePause(),
  '/': () => (location.href = '/sensors'),
  '?': () => document.getElementById('keys').showModal(),
}

document.addEventListener('keydown', (event) => {
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    event.target.closest('input, select, textarea, dialog')
  )
    return
  const action = KEYS[event.key]
  if (!action) return
  event.preventDefault()
  action()
})

for (const id of ['pause', 'theme', 'help']) document.getElementById(id).hidden = id === 'pause' && !view
document.getElementById('help').addEventListener('click', KEYS['?'])
document.getElementById('pause').addEventListener('click', togglePause)
document
  .getElementById('theme')
  .addEventListener('click', () =>
    setTheme(THEMES[(THEMES.indexOf(root.dataset.theme ?? '') + 1) % THEMES.length]),
  )
setTheme(storedTheme())
connect()
tellTimes()
drawCharts()
setInterval(watch, 1000)
setInterval(() => polling && poll(), POLL_MS)
