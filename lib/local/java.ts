import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { EXIT, Stop } from '../run.ts'

/** What runs Kafka: a Java ≥ 17 and the folder of the jars. */
export interface Java {
  java: string
  /** all jars of the folder, in one fixed order: a class archive is only good for the very same class path */
  classPath: string
  /** class-data archive, where one was made for this Java and these jars */
  archive: string | null
  archivePath: string
}

const POM = resolve(import.meta.dir, 'kafka/pom.xml')
/**
 * Downloads live in node_modules/.cache, not in STATE_DIR: a `clean` or a fresh state need not fetch them again, the
 * tests and `bun start` share them, git ignores them and deleting node_modules deletes them.
 */
export const CACHE_DIR = resolve(import.meta.dir, '../../node_modules/.cache')
const EXPECTED_BYTES = 54_000_000
const LEAST_JAVA = 17

/** Progress of a download in bytes; the total is an expectation. */
export type Progress = (doneBytes: number, totalBytes: number) => void

/** Finds Java and Kafka's jars, fetching the jars by Maven the first time. Throws Stop (69) with the three ways on. */
export async function findJava(progress: Progress = () => {}): Promise<Java> {
  const { java, version } = await findJavaProgram()
  const pom = readFileSync(POM)
  const home = join(CACHE_DIR, `kafka-${hash(pom)}`)
  const jars = join(home, 'jars')
  if (!existsSync(jars)) await fetchJars(jars, progress)
  const classPath = readdirSync(jars)
    .filter((file) => file.endsWith('.jar'))
    .sort()
    .map((file) => join(jars, file))
    .join(':')
  const archivePath = join(home, `classes-${hash(Buffer.from(version + classPath))}.jsa`)
  return { java, classPath, archive: existsSync(archivePath) ? archivePath : null, archivePath }
}

export const THREE_WAYS = `  1. install Java ${LEAST_JAVA} or newer and Maven (Debian, Ubuntu: apt install openjdk-17-jre-headless maven), then again
  2. run everything in containers: docker compose up -d
  3. use servers that you have: KAFKA_BROKERS=host:9092,… DATABASE_URL=postgresql://… (in .env or the environment)`

function missing(what: string): Stop {
  return new Stop(
    `Cannot bring up Kafka on this machine: ${what}: choose one way\n${THREE_WAYS}`,
    EXIT.unavailable,
  )
}

/** `openjdk version "17.0.15"` → 17; `"1.8.0_392"` → 8; null where it is none. */
export function javaMajor(versionOutput: string): number | null {
  const m = /version "(?:1\.)?(\d+)/.exec(versionOutput)
  return m?.[1] ? Number(m[1]) : null
}

async function findJavaProgram(): Promise<{ java: string; version: string }> {
  const home = process.env.JAVA_HOME
  const java = home && existsSync(join(home, 'bin/java')) ? join(home, 'bin/java') : Bun.which('java')
  if (!java) throw missing('no java is installed')
  const child = Bun.spawn([java, '-version'], { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  const version = await new Response(child.stderr).text()
  const major = javaMajor(version)
  if (major === null || major < LEAST_JAVA) {
    throw missing(`${java} is version ${major ?? 'unknown'}, it takes ${LEAST_JAVA}`)
  }
  return { java, version }
}

/** Into a folder beside it first, then renamed: a broken download leaves nothing that looks whole. */
async function fetchJars(target: string, progress: Progress): Promise<void> {
  const maven = Bun.which('mvn')
  if (!maven) throw missing('no mvn (Maven) is installed, which fetches the broker')
  mkdirSync(dirname(target), { recursive: true })
  const work = mkdtempSync(`${target}.new-`)
  try {
    writeFileSync(join(work, 'pom.xml'), readFileSync(POM))
    const output = `-DoutputDirectory=${join(work, 'jars')}`
    const child = Bun.spawn(
      [maven, '-B', '-Dstyle.color=never', 'dependency:copy-dependencies', '-DincludeScope=runtime', output],
      {
        cwd: work,
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'ignore',
        env: { ...process.env, MAVEN_OPTS: process.env.MAVEN_OPTS ?? '-XX:TieredStopAtLevel=1' },
      },
    )
    const said = await followMaven(child.stdout, progress)
    if ((await child.exited) !== 0) {
      throw missing(`Maven could not fetch the jars of Kafka: ${said || 'it said nothing'}`)
    }
    if (!existsSync(target)) renameSync(join(work, 'jars'), target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Tells the progress; resolves with what Maven called errors, the most telling first. */
async function followMaven(stdout: ReadableStream<Uint8Array>, progress: Progress): Promise<string> {
  const errors: string[] = []
  let text = ''
  let bytes = 0
  const decoder = new TextDecoder()
  for await (const chunk of stdout) {
    text += decoder.decode(chunk, { stream: true })
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) {
      const size = downloadedBytes(line)
      if (size > 0) progress((bytes += size), Math.max(EXPECTED_BYTES, bytes))
      if (line.includes('[ERROR]')) errors.push(line.slice(line.indexOf('[ERROR]') + 8))
    }
  }
  return errors.slice(0, 3).join('\n').trim()
}

/** Bytes named by Maven's `Downloaded from central: …/kafka.jar (6.1 MB at 12 MB/s)`; 0 for any other line. */
export function downloadedBytes(line: string): number {
  const m = /^(?:\[INFO\] )?Downloaded from .*\((\d+(?:\.\d+)?) (B|kB|MB) at /.exec(line)
  return m ? Number(m[1]) * { B: 1, kB: 1e3, MB: 1e6 }[m[2] as 'B' | 'kB' | 'MB'] : 0
}

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 12)
}
