import { cpus, loadavg, release, totalmem } from 'node:os'

/** Where a figure was measured: a number without it says nothing. */
export function machine() {
  const all = cpus()
  return {
    at: new Date().toISOString(),
    bun: Bun.version,
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memory_gib: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    load_before: Number(loadavg()[0]?.toFixed(2)),
  }
}
