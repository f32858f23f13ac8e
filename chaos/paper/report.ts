import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem, type as system, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseConfig } from '../../lib/config.ts'
import { readHappenings, readSamples } from '../watch/sample.ts'
import type { RunRecord } from '../watch/verdict.ts'
import { htmlTable, markdownTable, nameOf, rowsOf } from './table.ts'
import { timeline } from './timeline.ts'

/** `chaos/report`: one page from all runs of a commit. */
const { values } = parseArgs({
  options: {
    commit: { type: 'string' },
    out: { type: 'string' },
    pictures: { type: 'string', default: '1' },
  },
})
const work = join(parseConfig().STATE_DIR, 'chaos')
const file = join(work, 'runs.jsonl')
if (!existsSync(file)) {
  console.error(`Cannot report: no run is recorded in ${file}: chaos/run NAME makes one`)
  process.exit(1)
}
const all = readFileSync(file, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as RunRecord)
const commit = values.commit ?? all.at(-1)?.commit ?? ''
const records = all.filter((r) => r.commit === commit)
if (records.length === 0) {
  console.error(
    `Cannot report: no run of commit ${commit}: there are runs of ${[...new Set(all.map((r) => r.commit))].join(', ')}`,
  )
  process.exit(1)
}
const out = values.out ?? join(work, 'reports', commit)
mkdirSync(out, { recursive: true })

/** The last run of each fault is drawn; all of them with --pictures all. */
const drawn =
  values.pictures === 'all'
    ? records
    : [...new Map(records.map((r) => [`${r.target} ${nameOf(r)}`, r])).values()]
const pictures = drawn.flatMap((r) => {
  const run = join(work, 'runs', r.id)
  const samples = readSamples(run)
  if (samples.length === 0) return []
  const name = `${nameOf(r).replaceAll(/[^\w-]+/g, '-')}-${r.target}${values.pictures === 'all' ? `-${r.id}` : ''}.svg`
  const verdict = r.passed ? 'passed' : 'failed'
  writeFileSync(
    join(out, name),
    timeline(`${nameOf(r)} (${r.target}), ${r.started}: ${verdict}`, samples, readHappenings(run)),
  )
  return [{ name, fault: nameOf(r) }]
})

const rows = rowsOf(records)
const total = (value: (r: RunRecord) => number) =>
  records.reduce((sum, r) => sum + value(r), 0).toLocaleString('en')
const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${system()} ${release()}, Bun ${Bun.version}`
const words = [
  `Commit ${commit}, ${records[0]?.started.slice(0, 16)} to ${records.at(-1)?.started.slice(0, 16)} UTC. ${machine}.`,
  `${records.length} runs, ${total((r) => r.strikes)} strikes, ${total((r) => r.accepted)} readings: lost ${total((r) => r.verify?.lost ?? 0)}, doubled ${total((r) => r.verify?.duplicated ?? 0)}, phantom ${total((r) => r.verify?.phantom ?? 0)}; ${records.filter((r) => r.passed).length} passed, ${records.filter((r) => !r.passed).length} failed.`,
]
const failed = records
  .filter((r) => !r.passed)
  .map(
    (r) =>
      `${nameOf(r)} (${r.target}, ${r.started}): ${r.faults.join('; ') || 'the ledger is not true, or it was not green within the bound'}`,
  )
const notes = [
  'Acks stood: the longest time without a new acknowledgement from the first strike to the end of the run. Green again: from the moment in which what was struck is there again (a broker serves, a process runs, the network passes) until every copy is in sync, every member is back, every partition moves, and less than 2 s is behind; percentiles by nearest rank over the runs.',
  'Not tested: power loss, disk corruption, clocks of several hosts, malicious clients.',
]
writeFileSync(
  join(out, 'summary.md'),
  `# Faults and what came of them\n\n${words.join('\n\n')}\n\n${markdownTable(rows)}\n\n${failed.length > 0 ? `## Failed\n\n${failed.map((line) => `- ${line}`).join('\n')}\n\n` : ''}${notes.join('\n\n')}\n\n${pictures.map((p) => `![${p.fault}](${p.name})`).join('\n\n')}\n`,
)
const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
writeFileSync(
  join(out, 'index.html'),
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Faults and what came of them</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}table{border-collapse:collapse;font-size:13px;width:100%}td,th{padding:.3rem .5rem;border-bottom:1px solid #ddd;text-align:left}tr.failed td{background:#fdecea}img{max-width:100%}</style>
<h1>Faults and what came of them</h1>${words.map((line) => `<p>${escape(line)}</p>`).join('')}
${htmlTable(rows)}
${failed.length > 0 ? `<h2>Failed</h2><ul>${failed.map((line) => `<li>${escape(line)}</li>`).join('')}</ul>` : ''}
${notes.map((line) => `<p>${escape(line)}</p>`).join('')}
${pictures.map((p) => `<h2>${p.fault}</h2><img src="${p.name}" alt="timeline of ${p.fault}">`).join('\n')}
</html>
`,
)
// A report that is kept in the tree has the form of everything in it.
Bun.spawnSync([process.execPath, 'fmt', out], { stdout: 'ignore', stderr: 'ignore' })
console.log(join(out, 'index.html'))
console.log(join(out, 'summary.md'))
