import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { findJavaProgram, javaEnvironment } from './java.ts'
import { findJars, missing, type Progress } from './maven.ts'
import type { Part } from './part.ts'
import { httpAnswers } from './probe.ts'

const REGISTRY = { name: 'the schema registry', folder: 'registry', expectedBytes: 142_000_000 }
const HEAP = ['-Xms32m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
/** Where the Confluent API lies in Apicurio. */
export const COMPATIBLE_API = '/apis/ccompat/v7'

export interface RegistryProgram {
  java: string
  jar: string
}

/** Finds Java and Apicurio, fetching it by Maven the first time. Throws Stop (69) with the ways on. */
export async function findRegistry(progress: Progress = () => {}): Promise<RegistryProgram> {
  const { java } = await findJavaProgram(REGISTRY.name)
  const { home } = await findJars(REGISTRY, progress)
  const app = join(home, 'app')
  if (!existsSync(app)) await unpack(join(home, 'jars'), app)
  const jar = readdirSync(app).find((file) => file.endsWith('-runner.jar'))
  if (!jar) throw missing(REGISTRY.name, `there is no program in ${app}: delete it`)
  return { java, jar: join(app, jar) }
}

/** Into a folder beside it first, then renamed: what was cut off leaves nothing that looks whole. */
async function unpack(from: string, target: string): Promise<void> {
  const archive = readdirSync(from).find((file) => file.endsWith('.tar.gz'))
  if (!archive) throw missing(REGISTRY.name, `there is no archive in ${from}: delete it`)
  const work = mkdtempSync(`${target}.new-`)
  try {
    const child = Bun.spawn(['tar', '-xzf', join(from, archive), '-C', work], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const said = await new Response(child.stderr).text()
    if ((await child.exited) !== 0)
      throw missing(REGISTRY.name, `its archive can't be unpacked: ${said.trim()}`)
    if (!existsSync(target)) renameSync(work, target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/**
 * Apicurio on loopback, its schemas in a file under `dir`: numbers that changed with a restart would make every stored
 * message unreadable.
 */
export function registryPart(options: { dir: string; port: number; program: RegistryProgram }): Part {
  const { port, program } = options
  const home = resolve(options.dir, 'registry')
  return {
    name: 'registry',
    layer: 'infra',
    mayFinish: false,
    ports: [{ port, what: 'the schema registry' }],
    prepare: async () => {
      mkdirSync(home, { recursive: true })
    },
    start: () => ({
      argv: [
        program.java,
        ...HEAP,
        '-Dquarkus.http.host=127.0.0.1',
        `-Dquarkus.http.port=${port}`,
        '-Dquarkus.banner.enabled=false',
        '-jar',
        program.jar,
      ],
      env: {
        ...javaEnvironment(),
        // without a delay, or a kill would take back numbers that were given out half a second before
        REGISTRY_DATASOURCE_URL: `jdbc:h2:file:${join(home, 'schemas')};WRITE_DELAY=0`,
        REGISTRY_LOG_LEVEL: 'WARN',
      },
      cwd: home,
    }),
    ready: () => httpAnswers(`http://127.0.0.1:${port}${COMPATIBLE_API}/subjects`),
    stop: { signal: 'SIGTERM', graceMs: 5000 },
  }
}
