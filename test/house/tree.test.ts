import { expect, test } from 'bun:test'
import { homedir } from 'node:os'
import { code, files, places, read, ROOT } from './source.ts'

/** What a command said, or null where it isn't installed here. */
async function said(argv: string[]): Promise<{ code: number; text: string } | null> {
  if (!Bun.which(argv[0] ?? '') && argv[0] !== process.execPath) return null
  const child = Bun.spawn(argv, { cwd: ROOT, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, text: out + err }
}

const CHECK_MS = 120_000 // a type check of everything beside other work

test(
  'bun check finds no type error',
  async () => {
    expect(await said([process.execPath, 'check'])).toMatchObject({ code: 0 })
  },
  CHECK_MS,
)

test(
  'bun fmt would change nothing',
  async () => {
    expect(await said([process.execPath, 'fmt', '--check'])).toMatchObject({ code: 0 })
  },
  CHECK_MS,
)

test(
  'bun.lock says what package.json asks for',
  async () => {
    const answer = await said([
      process.execPath,
      'install',
      '--frozen-lockfile',
      '--dry-run',
      '--ignore-scripts',
    ])
    expect(answer).toMatchObject({ code: 0 })
  },
  CHECK_MS,
)

test('every dependency is pinned to one version', () => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json'))
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([, version]) => !/^\d/.test(String(version)),
  )
  expect(loose).toEqual([])
})

test(
  'shell scripts: strict, with a header that tells what they do, clean by shellcheck',
  async () => {
    const scripts = files(/./).filter(
      (file) => /\.sh$/.test(file) || read(file).startsWith('#!/usr/bin/env bash'),
    )
    expect(scripts).toContain('.ci/run')
    const loose = scripts.filter((file) => !/^set -euo pipefail$/m.test(read(file)))
    const silent = scripts.filter((file) => !/^# Summary: \S/m.test(read(file)))
    expect({ loose, silent }).toEqual({ loose: [], silent: [] })
    const answer = await said(['shellcheck', '-x', ...scripts])
    if (answer === null)
      console.warn('shellcheck is not installed here: only syntax and headers were checked')
    else expect(answer).toEqual({ code: 0, text: '' })
    for (const script of scripts) expect(await said(['bash', '-n', script])).toEqual({ code: 0, text: '' })
  },
  CHECK_MS,
)

test('every test runs: none is skipped, none is alone, none is put off', () => {
  const held =
    /\b(test|it|describe)\.(skip|skipIf|only|todo|todoIf|failing|if)\b|\b(xit|xtest|xdescribe|fdescribe|fit)\(/
  const found = files(/^test\/.*\.ts$/).flatMap((file) => places(file, code(read(file)), held))
  expect(found).toEqual([])
})

test('every test file can fail: it expects something', () => {
  const idle = files(/^test\/.*\.test\.ts$/).filter((file) => !/\bexpect\b|\bassert\b/.test(code(read(file))))
  expect(idle).toEqual([])
})

test('no path of one machine and no host of a registry', () => {
  // Put together here, so that this file does not find itself.
  const machine = [`${ROOT}/`, `${homedir()}/`, '/Users/'].map((path) => `(?<![\\w.-])${path}`)
  const hosts = [
    'registry.npmjs',
    'npmjs.org',
    'repo1.maven',
    'repo.maven',
    'deb.debian',
    'docker.io',
    'ghcr.io',
    'gcr.io',
    'quay.io',
  ]
  const pattern = new RegExp([...machine, ...hosts.map((host) => host.replaceAll('.', '\\.'))].join('|'))
  const found = files()
    .filter((file) => file !== 'test/house/tree.test.ts')
    .flatMap((file) => places(file, read(file), pattern))
  expect(found).toEqual([])
})

test('nothing is left for later', () => {
  const pattern = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`)
  expect(files().flatMap((file) => places(file, read(file), pattern))).toEqual([])
})

test('a migration has a number of its own, says why it is there, and is in lower case', () => {
  const names = files(/^sql\//)
  const numbers = names.map((name) => name.match(/^sql\/(\d{3})_[a-z_]+\.sql$/)?.[1] ?? name)
  expect(numbers).toEqual([...new Set(numbers)].filter((number) => /^\d{3}$/.test(number)))
  expect(names.filter((name) => !read(name).startsWith('-- '))).toEqual([])
  const loud = names.flatMap((name) =>
    places(
      name,
      read(name).replace(/--.*$/gm, ''),
      /\b(SELECT|CREATE|INSERT|UPDATE|DELETE|ALTER|TABLE|FROM)\b/,
    ),
  )
  expect(loud).toEqual([])
})
