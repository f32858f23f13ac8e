import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { files, read, ROOT } from './source.ts'
import { dashboards, expressions, metricsIn, type Dashboard } from '../dashboards.ts'

/** promtool comes with Debian's package prometheus; .ci/run unpacks it here, because to install it would start a server. */
const UNPACKED = join(ROOT, 'node_modules/.cache/prometheus/usr/bin/promtool')

async function promtool(...args: string[]): Promise<{ code: number; text: string } | null> {
  const program = Bun.which('promtool') ?? (existsSync(UNPACKED) ? UNPACKED : null)
  if (!program) {
    console.warn('promtool is not installed here: rules and settings were not checked by it')
    return null
  }
  const child = Bun.spawn([program, ...args], { cwd: ROOT, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, text: out + err }
}

describe('Prometheus', () => {
  test('promtool passes the rules, what they say of a plant in trouble, and the settings', async () => {
    for (const args of [
      ['check', 'rules', 'config/prometheus/rules.yml'],
      ['check', 'config', 'config/prometheus/prometheus.yml'],
      ['test', 'rules', 'test/rules.test.yml'],
    ]) {
      const answer = await promtool(...args)
      if (answer) expect(answer).toMatchObject({ code: 0, text: expect.stringContaining('SUCCESS') })
    }
  })

  test('asks every program that measures itself, at its METRICS_PORT, and nobody else', () => {
    interface Service {
      command?: string[]
      environment?: Record<string, unknown>
    }
    const { services } = Bun.YAML.parse(read('compose.yaml')) as { services: Record<string, Service> }
    interface Job {
      static_configs?: { targets: string[] }[]
      dns_sd_configs?: { names: string[]; port: number }[]
    }
    const { scrape_configs } = Bun.YAML.parse(read('config/prometheus/prometheus.yml')) as {
      scrape_configs: Job[]
    }
    const asked = scrape_configs.flatMap((job) => [
      ...(job.static_configs ?? []).flatMap((c) => c.targets),
      ...(job.dns_sd_configs ?? []).flatMap((c) => c.names.map((name) => `${name}:${c.port}`)),
    ])
    const measured = Object.entries(services).flatMap(([name, { command, environment }]) =>
      ['producer.ts', 'consumer.ts'].includes(command?.[0] ?? '')
        ? [`${name}:${String(environment?.METRICS_PORT)}`]
        : [],
    )
    expect(measured.length).toBeGreaterThan(11)
    expect(asked.sort()).toEqual([...measured, 'monitor:5000'].sort())
  })

  test('every alert says what it means and what to do', () => {
    interface Rule {
      alert: string
      labels?: { severity?: string }
      annotations?: { summary?: string; description?: string }
    }
    const { groups } = Bun.YAML.parse(read('config/prometheus/rules.yml')) as { groups: { rules: Rule[] }[] }
    const rules = groups.flatMap((group) => group.rules)
    expect(rules.length).toBeGreaterThan(5)
    const silent = rules.filter(
      (rule) =>
        !rule.annotations?.summary ||
        !rule.annotations.description ||
        !['warning', 'critical'].includes(rule.labels?.severity ?? ''),
    )
    expect(silent.map((rule) => rule.alert)).toEqual([])
  })
})

describe('Grafana', () => {
  const all: [string, Dashboard][] = dashboards()

  test('has the dashboards that were asked for, each under an address of its own', () => {
    const titles = all.map(([, board]) => board.title)
    expect(titles).toEqual(expect.arrayContaining(['IoT Sensor Overview', 'End-to-End Latency', 'Kafka lag']))
    expect(new Set(titles).size).toBe(titles.length)
    expect(new Set(all.map(([, board]) => board.uid)).size).toBe(all.length)
  })

  test('every panel asks the data source that is provisioned', () => {
    const source = read('config/grafana/provisioning/datasources/prometheus.yml')
    const { datasources } = Bun.YAML.parse(source) as { datasources: { uid: string }[] }
    const known = datasources.map((d) => d.uid)
    for (const [file, board] of all)
      for (const panel of board.panels) {
        expect({ file, panel: panel.title, known: known.includes(panel.datasource.uid) }).toMatchObject({
          known: true,
        })
        expect(panel.targets.length).toBeGreaterThan(0)
      }
  })

  test('every file of it is in the containers', () => {
    const { configs } = Bun.YAML.parse(read('compose.yaml')) as { configs: Record<string, { file: string }> }
    const given = Object.values(configs).map(({ file }) => file.replace('./', ''))
    expect(files(/^config\/(grafana|prometheus)\//).filter((file) => !given.includes(file))).toEqual([])
  })
})

test('every metric that a panel or a rule names is one of ours', () => {
  const made = new Set(
    files(/^lib\/(metrics|monitor\/[a-z-]+)\.ts$/).flatMap((file) =>
      [...read(file).matchAll(/'((?:factory|kafka)_[a-z0-9_]+)'/g)].map((m) => m[1] ?? ''),
    ),
  )
  const unknown = expressions().flatMap(({ where, expr }) =>
    metricsIn(expr)
      .filter((name) => !made.has(name) && !made.has(name.replace(/_(bucket|sum|count)$/, '')))
      .map((name) => `${where}: ${name}`),
  )
  expect(unknown).toEqual([])
})
