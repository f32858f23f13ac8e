import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseConfig } from '../../lib/config.ts'
import { renderEnvExample, renderTable, variables } from '../../lib/variables.ts'
import { files, read, ROOT, withoutComments } from './source.ts'

const readme = existsSync(join(ROOT, 'README.md')) ? read('README.md') : ''

describe('configuration', () => {
  test('.env.example is the schema (bun run variables --write)', () => {
    expect(read('.env.example')).toBe(renderEnvExample(variables()))
  })

  test('the table in README.md is the schema (bun run variables --write)', () => {
    // The formatter pads the cells of a table.
    const tight = (text: string) =>
      text
        .replace(/ +/g, ' ')
        .replace(/-+/g, '-')
        .replace(/\| ?- ?(?=\|)/g, '|-')
    expect(tight(readme)).toContain(tight(renderTable(variables())).trim())
  })

  test('copying .env.example changes nothing: every variable is commented out', () => {
    const set = read('.env.example')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    expect(set).toEqual([])
  })

  test('the defaults it shows are the defaults that hold', () => {
    const shown = Object.fromEntries(
      variables()
        .filter((v) => v.shownDefault !== '')
        .map((v) => [v.name, v.shownDefault]),
    )
    const { PRODUCER_ID: _, ...uncommented } = parseConfig(shown) // its default follows SENSOR_TYPE
    expect(uncommented).toMatchObject(JSON.parse(JSON.stringify(parseConfig({}))))
  })

  test('every variable has a section and a meaning', () => {
    expect(variables().filter((v) => !v.section || !v.meaning)).toEqual([])
  })
})

describe('the map in README.md', () => {
  const named = [
    ...readme.matchAll(/`((?:lib|sql|test|chaos|bench|config|docs|patches|\.ci)\/[\w./*-]*)`/g),
  ].map((m) => m[1] ?? '')

  test('every path that it names is there', () => {
    const missing = named.filter(
      (path) =>
        [...new Bun.Glob(path).scanSync({ cwd: ROOT, dot: true })].length === 0 &&
        !existsSync(join(ROOT, path)),
    )
    expect(missing).toEqual([])
  })

  test('every room of lib/ is in it', () => {
    const rooms = [
      ...new Set(files(/^lib\/[^/]+\//).map((file) => file.split('/').slice(0, 2).join('/') + '/')),
    ]
    expect(rooms.filter((room) => !named.includes(room))).toEqual([])
  })

  test('every file of the ground floor is in it', () => {
    expect(files(/^lib\/[^/]+\.ts$/).filter((file) => !named.includes(file))).toEqual([])
  })

  test('every command of package.json is in its table, and no other', () => {
    const scripts = Object.keys(JSON.parse(read('package.json')).scripts)
    const table = readme.slice(
      readme.indexOf('## Commands'),
      readme.indexOf('## ', readme.indexOf('## Commands') + 5),
    )
    const told = [...table.matchAll(/^\| *`([a-z-]+)[^`]*`/gm)].map((m) => m[1] ?? '')
    expect(told.sort()).toEqual(scripts.sort())
  })

  test('every script of package.json starts a file that is there', () => {
    const scripts = Object.entries<string>(JSON.parse(read('package.json')).scripts)
    const missing = scripts.filter(([, line]) => {
      const paths = line.split(' ').filter((word) => /\.ts$/.test(word) || word.startsWith('chaos/'))
      return paths.some((path) => !existsSync(join(ROOT, path)))
    })
    expect(missing).toEqual([])
  })

  test('it tells of every service of compose.yaml that a person would name', () => {
    const services = Object.keys((Bun.YAML.parse(read('compose.yaml')) as { services: object }).services)
    expect(services.filter((name) => !readme.includes(name))).toEqual([])
  })
})

test('README.md names every route of the API, and no other', () => {
  const routes = files(/^lib\/monitor\/((api|acts)\/)?[^/]+\.ts$/).flatMap((file) =>
    [...withoutComments(read(file)).matchAll(/'(\/api\/[\w:/-]+)'/g)].map((m) => m[1] ?? ''),
  )
  const told = [...readme.matchAll(/`(?:GET|POST) (\/api\/[^`]+)`/g)].map((m) => m[1] ?? '')
  expect([...new Set(told)].sort()).toEqual([...new Set(routes)].sort())
})
