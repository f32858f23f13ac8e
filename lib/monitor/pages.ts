import type { Context, Hono } from 'hono'
import { z } from 'zod'
import type { Sql } from '../db/connect.ts'
import { alarmFilter, alarmNow, refuseBackwards } from './api/alarms.ts'
import { incidentNow, incidentsNow, type IncidentOptions } from './api/incidents.ts'
import { lineName, lineNow, type LineOptions } from './api/lines.ts'
import { rulesNow, type RuleOptions } from './api/rules.ts'
import { cursorParameter, encodeCursor, nameParameter } from './cursor.ts'
import { alarmPage } from './page/alarm.ts'
import { alarmsPage } from './page/alarms.ts'
import { deadLettersPage } from './page/dead-letters.ts'
import { docsPage } from './page/docs.ts'
import { documentOf } from './page/document.ts'
import { incidentPage, incidentsPage } from './page/incidents.ts'
import { sensorsPage } from './page/machine.ts'
import { ruleBookPage, rulePage, rulesPage } from './page/rules.ts'
import type { Element } from './page/tree.ts'
import { presentAlert } from './present.ts'
import { parseQuery, Problem } from './problem.ts'
import { alarmKpis } from './questions/alarm-kpis.ts'
import { listMachines } from './questions/machines.ts'
import { listAlarms } from './questions/alarm-list.ts'
import { deadLettersByReason, listDeadLetters } from './questions/logbook.ts'
import { OUTLOOK_FRESH_MS, outlooks } from './questions/outlook.ts'
import { bookOfVersion, listVersions, ruleHistory } from './questions/rules.ts'
import type { Recall } from './recall.ts'
import type { Sensor, Snapshot } from './snapshot.ts'
import { viewOfLine, type Views } from './views.ts'
import { whoOf } from './who/identity.ts'

export interface PageOptions {
  current: () => Snapshot
  sql: () => Sql
  recall: Recall
  views: Views
  clock: () => number
  openApi: Record<string, unknown>
  incidents: IncidentOptions
  lines: LineOptions
  rules: Pick<RuleOptions, 'bookOfFile'>
}

const NO_STORE = { 'cache-control': 'no-store' }

/** Pages for people: each is a function of data, complete without scripts. */
export function servePages(app: Hono, options: PageOptions): void {
  const { current, sql, recall, views, clock } = options
  const none = z.object({})

  const still = (c: Context, title: string, tree: Element) =>
    c.html(documentOf({ title, tree, live: null, serverTime: clock(), who: whoOf(c) }), 200, NO_STORE)
  const live = (c: Context, title: string, view: string) => {
    const channel = views.get(view)
    if (!channel) throw new Problem(404, 'Not found', 'Nothing has that name')
    const { version, tree } = channel.current()
    return c.html(
      documentOf({ title, tree, live: { view, version }, serverTime: clock(), who: whoOf(c) }),
      200,
      NO_STORE,
    )
  }

  async function rememberOutlook(view: string, isOn: (x: Sensor) => boolean): Promise<void> {
    const sensors = (current().sensors.data ?? []).filter(isOn)
    views.rememberOutlook(
      view,
      await recall(`outlook ${view}`, () => outlooks(sql(), sensors), OUTLOOK_FRESH_MS),
    )
  }

  app.get('/', (c) => {
    const { view } = parseQuery(c, z.object({ view: z.enum(['full', 'wall']).default('full') }))
    return live(c, 'Plant monitor', view === 'wall' ? 'wall' : 'overview')
  })
  app.get('/sensors', (c) => {
    const { page } = parseQuery(c, z.object({ page: z.coerce.number().int().min(1).max(1000).default(1) }))
    return still(c, 'Sensors', sensorsPage(current(), page))
  })
  app.get('/sensors/:sensor_id', async (c) => {
    parseQuery(c, none)
    const id = nameOf(c.req.param('sensor_id'))
    views.rememberAlarms(
      id,
      await recall(`alarms of ${id}`, () =>
        listAlarms(sql(), {
          state: 'all',
          sensor_id: id,
          sort: 'timestamp',
          order: 'desc',
          limit: 20,
          cursor: null,
        }),
      ),
    )
    await rememberOutlook(`sensor:${id}`, (x) => x.sensor_id === id)
    return live(c, id, `sensor:${id}`)
  })
  app.get('/machines/:machine_id', async (c) => {
    parseQuery(c, none)
    const id = nameOf(c.req.param('machine_id'))
    const { data, ...state } = await recall('machines', () => listMachines(sql()), 1000)
    views.rememberCondition(id, { ...state, data: data?.find((m) => m.machine_id === id) ?? null })
    await rememberOutlook(`machine:${id}`, (x) => x.machine_id === id)
    return live(c, id, `machine:${id}`)
  })
  app.get('/lines/:factory_id/:sensor_id/:soda_name', async (c) => {
    parseQuery(c, none)
    const name = lineName.safeParse(c.req.param())
    if (!name.success) throw new Problem(404, 'Not found', 'Nothing has that name')
    const { section, rounds } = await lineNow(options.lines, name.data)
    const view = viewOfLine(name.data)
    views.rememberRounds(view, { ...section, data: rounds })
    return live(c, `${name.data.soda_name}, ${name.data.factory_id}`, view)
  })
  app.get('/alarms', async (c) => {
    // A form sends what was left empty, too.
    const given = new URL(c.req.url).searchParams
    const empty = [...given].filter(([, value]) => value === '').map(([name]) => name)
    if (empty.length > 0) {
      for (const name of empty) given.delete(name)
      return c.redirect(`/alarms${given.size > 0 ? `?${given}` : ''}`, 302)
    }
    const query = parseQuery(c, alarmFilter)
    refuseBackwards(query)
    const found = await recall(`alarms ${JSON.stringify(query)}`, () => listAlarms(sql(), query))
    const figures = await recall('alarm kpis', () => alarmKpis(sql()), 30_000)
    const page = (found.data ?? []).slice(0, query.limit)
    const last = (found.data?.length ?? 0) > query.limit ? page.at(-1) : undefined
    if (last) given.set('cursor', encodeCursor({ value: last.cursor_value, id: last.alert_id }))
    const list = {
      status: found.status,
      as_of: found.as_of,
      error: found.error,
      alarms: page.map((a) => presentAlert(a, clock())),
      next_cursor: null,
    }
    return still(c, 'Alarms', alarmsPage(current(), list, query, figures, last ? `/alarms?${given}` : null))
  })
  app.get('/alarms/:alert_id', async (c) => {
    parseQuery(c, none)
    const id = c.req.param('alert_id')
    if (!z.uuid().safeParse(id).success) throw new Problem(404, 'Not found', 'Nothing has that name')
    const found = await alarmNow(options, id)
    const { alarm = null, journal = [], around = null } = found.data ?? {}
    const shown = alarm && { ...presentAlert(alarm, clock()), why: alarm.why }
    return still(c, `Alarm ${alarm?.sensor_id ?? ''}`, alarmPage(current(), found, shown, journal, around))
  })
  app.get('/incidents', async (c) => {
    const q = parseQuery(c, z.object({ cursor: cursorParameter }))
    const before = q.cursor?.value ?? null
    if (before !== null && Number.isNaN(Date.parse(before))) {
      throw new Problem(422, 'Query not understood', undefined, [
        { field: 'cursor', message: 'must be the next_cursor of an earlier answer' },
      ])
    }
    const found = await incidentsNow(options.incidents, before, 50)
    const last = (found.data?.length ?? 0) > 50 ? found.data?.[49] : undefined
    const next = last
      ? `/incidents?cursor=${encodeCursor({ value: last.opened_at, id: last.incident_id })}`
      : null
    return still(
      c,
      'Incidents',
      incidentsPage(current(), { ...found, data: found.data?.slice(0, 50) ?? null }, next),
    )
  })
  app.get('/incidents/:incident_id', async (c) => {
    parseQuery(c, none)
    const id = c.req.param('incident_id')
    if (!z.uuid().safeParse(id).success) throw new Problem(404, 'Not found', 'Nothing has that name')
    const view = `incident:${id}`
    if (views.get(view)) return live(c, 'Incident', view)
    const found = await incidentNow(options.incidents, id)
    if (found.status === 'ok' && found.data === null)
      throw new Problem(404, 'Not found', 'There is no incident of that id')
    return still(c, 'Incident', incidentPage(current(), found))
  })
  app.get('/dead-letters', async (c) => {
    const q = parseQuery(c, z.object({ reason: nameParameter.optional(), cursor: cursorParameter }))
    const found = await recall(`dead letters page ${q.reason}`, () =>
      listDeadLetters(sql(), { before: null, limit: 50, reason: q.reason }),
    )
    const reasons = await recall('dead letters by reason', () => deadLettersByReason(sql()), 2000)
    const list = {
      status: found.status,
      as_of: found.as_of,
      error: found.error,
      dead_letters: (found.data ?? []).slice(0, 50),
      by_reason: reasons.data ?? [],
      next_cursor: null,
    }
    return still(c, 'Dead letters', deadLettersPage(current(), list))
  })
  app.get('/rules', async (c) => {
    parseQuery(c, none)
    const found = await rulesNow(sql, recall, options.rules.bookOfFile)
    const versions = await recall('rule versions', () => listVersions(sql(), 20, null))
    return still(c, 'Rules', rulesPage(current(), found, versions))
  })
  app.get('/rules/:rule_id', async (c) => {
    parseQuery(c, none)
    const id = nameOf(c.req.param('rule_id'))
    const found = await rulesNow(sql, recall, options.rules.bookOfFile)
    const rule = found.data?.book.rules.find((r) => r.id === id)
    if (!rule) throw new Problem(404, 'Not found', 'The book in force has no rule of that id')
    const history = await recall(`rule ${id}`, () => ruleHistory(sql(), id))
    return still(c, `Rule ${id}`, rulePage(current(), found, rule, history))
  })
  app.get('/rule-books/:version', async (c) => {
    parseQuery(c, none)
    const version = Number(c.req.param('version'))
    if (!Number.isInteger(version) || version < 1 || version >= 2 ** 31)
      throw new Problem(404, 'Not found', 'Nothing has that name')
    const found = await recall(`rule book ${version}`, () => bookOfVersion(sql(), version))
    if (found.status === 'ok' && found.data === null)
      throw new Problem(404, 'Not found', 'There is no such version')
    return still(c, `Rule book ${version}`, ruleBookPage(current(), found))
  })
  app.get('/docs', (c) => {
    parseQuery(c, none)
    return still(c, 'API', docsPage(current(), options.openApi))
  })
}

function nameOf(text: string): string {
  const parsed = nameParameter.safeParse(text)
  if (!parsed.success) throw new Problem(404, 'Not found', 'Nothing has that name')
  return parsed.data
}
