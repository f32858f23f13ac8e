import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { findJars, hash, missing, type Progress } from './maven.ts'

/** What runs Kafka: a Java ≥ 17 and the folder of the jars. */
export interface Java {
  java: string
  classPath: string
  /** class-data archive, where one was made for this Java and these jars */
  archive: string | null
  archivePath: string
}

const KAFKA = { name: 'Kafka', folder: 'kafka', expectedBytes: 54_000_000 }
const LEAST_JAVA = 17

/** Finds Java and Kafka's jars, fetching the jars by Maven the first time. Throws Stop (69) with the three ways on. */
export async function findJava(progress: Progress = () => {}): Promise<Java> {
  const { java, version } = await findJavaProgram(KAFKA.name)
  const { home, classPath } = await findJars(KAFKA, progress)
  const archivePath = join(home, `classes-${hash(Buffer.from(version + classPath))}.jsa`)
  return { java, classPath, archive: existsSync(archivePath) ? archivePath : null, archivePath }
}

/** `openjdk version "17.0.15"` → 17; `"1.8.0_392"` → 8; null where it is none. */
export function javaMajor(versionOutput: string): number | null {
  const m = /version "(?:1\.)?(\d+)/.exec(versionOutput)
  return m?.[1] ? Number(m[1]) : null
}

/** A Java that is new enough for `server`. */
export async function findJavaProgram(server: string): Promise<{ java: string; version: string }> {
  const home = process.env.JAVA_HOME
  const java = home && existsSync(join(home, 'bin/java')) ? join(home, 'bin/java') : Bun.which('java')
  if (!java) throw missing(server, 'no java is installed')
  const child = Bun.spawn([java, '-version'], { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  const version = await new Response(child.stderr).text()
  const major = javaMajor(version)
  if (major === null || major < LEAST_JAVA) {
    throw missing(server, `${java} is version ${major ?? 'unknown'}, it takes ${LEAST_JAVA}`)
  }
  return { java, version }
}

/** Java's own environment variables would change what was measured here. */
export function javaEnvironment(): Record<string, string> {
  const env: Record<string, string> = {}
  for (const key of ['PATH', 'HOME', 'LANG', 'TMPDIR', 'JAVA_HOME']) {
    const value = process.env[key]
    if (value !== undefined) env[key] = value
  }
  return env
}
