import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { findJava, javaEnvironment } from '../../lib/local/java.ts'
import { serverProperties } from '../../lib/local/kafka.ts'
import { freePorts } from '../../lib/local/ports.ts'
import { end, launch, type ProcessId } from '../../lib/local/process.ts'
import { until } from '../door.ts'

/** One broker of the shipped secure profile, with certificates of its own and a password for each program. */
export interface SecureBroker {
  broker: string
  /** PEM of the authority */
  ca: string
  passwordOf(user: string): string
  stop(): Promise<void>
}

const USERS = ['admin', 'broker', 'producer', 'consumer', 'monitor']
const PROFILE = join(import.meta.dir, '../../config/kafka/secure.properties')

export async function startSecureBroker(dir: string, watch: (id: ProcessId) => void): Promise<SecureBroker> {
  const [port = 0, controllerPort = 0] = await freePorts(2)
  mkdirSync(dir, { recursive: true })
  makeCertificates(dir)
  const node = { id: 1, port, controllerPort }
  const passwordOf = (user: string) => `${user}-password-of-the-test`
  const values: Record<string, string> = {
    HOST: '127.0.0.1',
    PORT: String(port),
    CONTROLLER_PORT: String(controllerPort),
    DIR: dir,
    BROKER_PASSWORD: passwordOf('broker'),
  }
  const profile = readFileSync(PROFILE, 'utf8').replace(
    /\$\{(\w+)\}/g,
    (_, name: string) => values[name] ?? '',
  )
  const changed = new Set(profile.match(/^[a-z][\w.-]*(?==)/gm))
  const usual = serverProperties(node, [node], dir)
    .split('\n')
    .filter((line) => !changed.has(line.split('=')[0] ?? ''))
  writeFileSync(join(dir, 'server.properties'), [...usual, profile].join('\n'))

  const java = await findJava()
  const jvm = [java.java, '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', java.classPath]
  const scram = USERS.flatMap((user) => [
    '--add-scram',
    `SCRAM-SHA-512=[name=${user},password=${passwordOf(user)}]`,
  ])
  run(
    [
      ...jvm,
      'kafka.tools.StorageTool',
      'format',
      '-t',
      'c2VjdXJlLXRlc3QtMDEyMw',
      '-c',
      join(dir, 'server.properties'),
      ...scram,
    ],
    dir,
  )
  const running = launch(
    { argv: [...jvm, 'kafka.Kafka', join(dir, 'server.properties')], env: javaEnvironment(), cwd: dir },
    join(dir, 'broker.log'),
  )
  watch(running)
  await until('the secure broker to open its port', () => isOpen(port), 90_000)
  return {
    broker: `localhost:${port}`,
    ca: readFileSync(join(dir, 'ca.pem'), 'utf8'),
    passwordOf,
    stop: () => end(running, { signal: 'SIGTERM', graceMs: 10_000 }),
  }
}

/** An authority, and a key with a certificate for localhost that it has signed. */
function makeCertificates(dir: string): void {
  const at = (name: string) => join(dir, name)
  const openssl = (words: string) => run(['openssl', ...words.split(' ')], dir)
  const key = '-newkey rsa:2048 -nodes'
  openssl(`req -x509 ${key} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem`)
  openssl(`req ${key} -subj /CN=localhost -keyout broker.key -out broker.csr`)
  writeFileSync(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  openssl(
    'x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out broker.crt',
  )
  const [secret, certificate] = [
    readFileSync(at('broker.key'), 'utf8'),
    readFileSync(at('broker.crt'), 'utf8'),
  ]
  writeFileSync(at('broker.pem'), secret + certificate)
}

function run(argv: string[], cwd: string): void {
  const done = Bun.spawnSync(argv, {
    cwd,
    env: javaEnvironment(),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  if (done.exitCode !== 0) throw new Error(`Cannot run ${argv[0]}: ${done.stderr.toString().slice(-2000)}`)
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })
}
