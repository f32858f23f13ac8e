/** A compose file as far as the rules look at it; anchors and merges are already resolved. */
export interface Compose {
  services: Record<string, Service>
  volumes?: Record<string, unknown>
}

interface Service {
  image?: string
  build?: unknown
  user?: string
  read_only?: boolean
  cap_drop?: string[]
  cap_add?: string[]
  privileged?: boolean
  network_mode?: string
  pid?: string
  security_opt?: string[]
  mem_limit?: string
  pids_limit?: number
  ports?: string[]
  volumes?: string[]
  healthcheck?: { test?: string[]; disable?: boolean }
  restart?: string
  stop_grace_period?: string
  logging?: { options?: Record<string, string> }
  profiles?: string[]
  depends_on?: Record<string, { condition?: string }>
  environment?: Record<string, unknown>
  env_file?: unknown
}

type Rule = (service: Service, name: string, compose: Compose) => string | false | undefined

/** A job ends by itself: it needs no health, and nobody starts it again. */
const isJob = (s: Service) => s.restart === 'no'

/** Lines have a target: who has met it is done, so only a failure starts it again. */
const mayFinish = (s: Service) => s.environment?.FLEET === 'soda'

/** Each rule: what is wrong with a service, in words, or nothing. */
export const RULES: Record<string, Rule> = {
  'published on loopback alone': (s) =>
    s.ports?.some((port) => !String(port).startsWith('127.0.0.1:')) && `publishes ${s.ports.join(', ')}`,
  'not root': (s) =>
    (!s.user || /^(root|0)(:|$)/.test(s.user)) && `runs as ${s.user ?? 'whatever the image says'}`,
  'read-only file system': (s) => s.read_only !== true && 'may write to its file system',
  'no capabilities': (s) =>
    (!s.cap_drop?.includes('ALL') || (s.cap_add ?? []).length > 0) && 'keeps capabilities of root',
  'no new privileges': (s) =>
    !s.security_opt?.includes('no-new-privileges:true') && 'may gain privileges (setuid)',
  'apart from the host': (s) =>
    (s.privileged || s.network_mode === 'host' || s.pid === 'host') && 'shares the host’s namespaces',
  'no socket of the engine': (s) =>
    s.volumes?.some((v) => String(v).includes('docker.sock')) && 'holds the engine’s socket',
  'bounded memory': (s) => !s.mem_limit && 'has no mem_limit',
  'bounded processes': (s) => !(Number(s.pids_limit) > 0) && 'has no pids_limit',
  'bounded logs': (s) => !s.logging?.options?.['max-size'] && 'its log may fill the disk',
  'healthy means something': (s) => {
    if (isJob(s)) return false
    const test = s.healthcheck?.test ?? []
    return (test.length < 2 || s.healthcheck?.disable) && 'has no health check'
  },
  'starts again after a crash': (s) =>
    s.restart !== (mayFinish(s) ? 'on-failure' : 'unless-stopped') &&
    !isJob(s) &&
    `restarts: ${s.restart ?? 'never'}`,
  'time to drain': (s) =>
    !isJob(s) &&
    !s.profiles &&
    Number.parseInt(s.stop_grace_period ?? '10', 10) < 30 &&
    'is killed after 10 s',
  'a pinned image': (s) => {
    const tag = s.image?.split('/').at(-1)?.split(':')[1]
    return (!tag || /^(latest|main|master|edge|nightly)$/.test(tag)) && `uses ${s.image ?? 'no named image'}`
  },
  'waits for health, not for a start': (s) => {
    const loose = Object.entries(s.depends_on ?? {}).filter(
      ([, on]) => !['service_healthy', 'service_completed_successfully'].includes(on?.condition ?? ''),
    )
    return loose.length > 0 && `starts beside ${loose.map(([name]) => name).join(', ')}`
  },
  'volumes have names': (s, _, compose) => {
    const unnamed = (s.volumes ?? []).filter(
      (v) => !((String(v).split(':')[0] ?? '') in (compose.volumes ?? {})),
    )
    return unnamed.length > 0 && `mounts ${unnamed.join(', ')}`
  },
}

/** `service: what is wrong (rule)`, nothing where all is well. */
export function faultsOf(compose: Compose): string[] {
  return Object.entries(compose.services).flatMap(([name, service]) =>
    Object.entries(RULES).flatMap(([rule, judge]) => {
      const fault = judge(service, name, compose)
      return fault ? [`${name}: ${fault} (${rule})`] : []
    }),
  )
}
