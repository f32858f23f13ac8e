import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { findJavaProgram, javaEnvironment } from './java.ts'
import { findJars, type Progress } from './maven.ts'
import type { Part } from './part.ts'
import { httpAnswers, speaksHttp } from './probe.ts'

/** The stores of the sinks without Docker: a search server with Elasticsearch's API, and S3's API over a folder. */
const SEARCH = { name: 'OpenSearch', folder: 'opensearch', expectedBytes: 55_000_000 }
const STORAGE = { name: 's3proxy', folder: 's3proxy', expectedBytes: 46_000_000 }
const QUIET = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export interface StoreProgram {
  java: string
  classPath: string
}

export async function findOpensearch(progress: Progress = () => {}): Promise<StoreProgram> {
  return find(SEARCH, progress)
}

export async function findS3proxy(progress: Progress = () => {}): Promise<StoreProgram> {
  return find(STORAGE, progress)
}

/** Java and the jars, fetched by Maven the first time. Throws Stop (69) with the ways on. */
async function find(wanted: typeof SEARCH, progress: Progress): Promise<StoreProgram> {
  const { java } = await findJavaProgram(wanted.name)
  const { classPath } = await findJars(wanted, progress)
  return { java, classPath }
}

/** One node on loopback, its index under `dir`. */
export function opensearchPart(options: { dir: string; port: number; program: StoreProgram }): Part {
  const { port, program } = options
  const home = resolve(options.dir, 'opensearch')
  const script = join(import.meta.dir, 'opensearch/server.js')
  const rhino = 'org.mozilla.javascript.tools.shell.Main'
  return {
    name: 'opensearch',
    layer: 'infra',
    mayFinish: false,
    ports: [{ port, what: 'OpenSearch' }],
    prepare: async () => {
      mkdirSync(home, { recursive: true })
    },
    start: () => ({
      argv: [
        ...[program.java, '-Xms256m', '-Xmx512m', ...QUIET, '-cp', program.classPath],
        ...[rhino, '-version', '200', script, home, String(port)],
      ],
      env: javaEnvironment(),
      cwd: home,
    }),
    // Once the cluster has a state it can make an index.
    ready: () => httpAnswers(`http://127.0.0.1:${port}/_cluster/health?wait_for_status=yellow&timeout=500ms`),
    stop: { signal: 'SIGTERM', graceMs: 10_000 },
  }
}

/** A bucket is a folder below `dir`/s3proxy. */
export function s3proxyPart(options: {
  dir: string
  port: number
  program: StoreProgram
  accessKeyId: string
  secretAccessKey: string
}): Part {
  const { port, program, accessKeyId, secretAccessKey } = options
  const home = resolve(options.dir, 's3proxy')
  const settings = {
    's3proxy.endpoint': `http://127.0.0.1:${port}`,
    's3proxy.authorization': 'aws-v2-or-v4',
    's3proxy.identity': accessKeyId,
    's3proxy.credential': secretAccessKey,
    'jclouds.provider': 'filesystem-nio2',
    'jclouds.identity': accessKeyId,
    'jclouds.credential': secretAccessKey,
    'jclouds.filesystem.basedir': join(home, 'buckets'),
  }
  return {
    name: 's3proxy',
    layer: 'infra',
    mayFinish: false,
    ports: [{ port, what: 's3proxy' }],
    prepare: async () => {
      mkdirSync(join(home, 'buckets'), { recursive: true })
      const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`)
      writeFileSync(join(home, 's3proxy.properties'), lines.join(''), { mode: 0o600 })
    },
    start: () => ({
      argv: [
        ...[program.java, '-Xmx128m', ...QUIET, '-DLOG_LEVEL=warn', '-cp', program.classPath],
        ...['org.gaul.s3proxy.Main', '--properties', 's3proxy.properties'],
      ],
      env: { ...javaEnvironment(), LOG_LEVEL: 'warn' },
      cwd: home,
    }),
    ready: () => speaksHttp(`http://127.0.0.1:${port}/`),
    stop: { signal: 'SIGTERM', graceMs: 5000 },
  }
}
