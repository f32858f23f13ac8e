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

/** A server that comes as jars: its name for people, the pom that names them, and about how much there is to fetch. */
export interface Jars {
  name: string
  /** folder beside this file that holds pom.xml */
  folder: string
  expectedBytes: number
}

/** Progress of a download in bytes; the total is an expectation. */
export type Progress = (doneBytes: number, totalBytes: number) => void

/**
 * Downloads live in node_modules/.cache, not in STATE_DIR: a `clean` or a fresh state need not fetch them again, the
 * tests and `bun start` share them, git ignores them and deleting node_modules deletes them.
 */
export const CACHE_DIR = resolve(import.meta.dir, '../../node_modules/.cache')

/** The jars' folder, fetched by Maven the first time, and the class path over them. Throws Stop (69) with the ways on. */
export async function findJars(
  wanted: Jars,
  progress: Progress = () => {},
): Promise<{ home: string; classPath: string }> {
  const pom = readFileSync(resolve(import.meta.dir, wanted.folder, 'pom.xml'))
  const home = join(CACHE_DIR, `${wanted.folder}-${hash(pom)}`)
  const jars = join(home, 'jars')
  if (!existsSync(jars)) await fetchJars(wanted, pom, jars, progress)
  // all jars, in one fixed order: a class archive is only good for the very same class path
  const classPath = readdirSync(jars)
    .filter((file) => file.endsWith('.jar'))
    .sort()
    .map((file) => join(jars, file))
    .join(':')
  return { home, classPath }
}

export const THREE_WAYS = `  1. install Java 17 or newer and Maven (Debian, Ubuntu: apt install openjdk-17-jre-headless maven), then again
  2. run everything in containers: docker compose up -d
  3. use servers that you have: KAFKA_BROKERS=host:9092,… DATABASE_URL=postgresql://… (in .env or the environment)`

export function missing(server: string, what: string): Stop {
  return new Stop(
    `Cannot bring up ${server} on this machine: ${what}: choose one way\n${THREE_WAYS}`,
    EXIT.unavailable,
  )
}

/** Into a folder beside it first, then renamed: a broken download leaves nothing that looks whole. */
async function fetchJars(wanted: Jars, pom: Buffer, target: string, progress: Progress): Promise<void> {
  const maven = Bun.which('mvn')
  if (!maven) throw missing(wanted.name, 'no mvn (Maven) is installed, which fetches it')
  mkdirSync(dirname(target), { recursive: true })
  const work = mkdtempSync(`${target}.new-`)
  try {
    writeFileSync(join(work, 'pom.xml'), pom)
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
    const said = await followMaven(child.stdout, wanted.expectedBytes, progress)
    if ((await child.exited) !== 0) {
      throw missing(wanted.name, `Maven could not fetch its jars: ${said || 'it said nothing'}`)
    }
    if (!existsSync(target)) renameSync(join(work, 'jars'), target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Tells the progress; resolves with what Maven called errors, the most telling first. */
async function followMaven(
  stdout: ReadableStream<Uint8Array>,
  expectedBytes: number,
  progress: Progress,
): Promise<string> {
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
      if (size > 0) progress((bytes += size), Math.max(expectedBytes, bytes))
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

export function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 12)
}
