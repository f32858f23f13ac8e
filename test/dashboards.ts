import { files, read } from './house/source.ts'

/** What Grafana shows and Prometheus judges, as far as tests look at it. */
export interface Dashboard {
  uid: string
  title: string
  panels: { title: string; datasource: { uid: string }; targets: { expr: string }[] }[]
}

export function dashboards(): [string, Dashboard][] {
  return files(/^config\/grafana\/dashboards\/.*\.json$/).map((file) => [
    file,
    JSON.parse(read(file)) as Dashboard,
  ])
}

/** Every expression of a panel or a rule, with where it stands. */
export function expressions(): { where: string; expr: string }[] {
  const { groups } = Bun.YAML.parse(read('config/prometheus/rules.yml')) as {
    groups: { rules: { alert: string; expr: string }[] }[]
  }
  return [
    ...dashboards().flatMap(([file, board]) =>
      board.panels.flatMap((panel) =>
        panel.targets.map(({ expr }) => ({ where: `${file}: ${panel.title}`, expr })),
      ),
    ),
    ...groups.flatMap((g) => g.rules.map(({ alert, expr }) => ({ where: `rules.yml: ${alert}`, expr }))),
  ]
}

/** The metrics that an expression names; what Prometheus makes by itself aside. */
export function metricsIn(expr: string): string[] {
  return [...new Set(expr.match(/\b(factory|kafka|process|nodejs)_[a-z0-9_]+/g) ?? [])]
}
