import { bringUp } from '../local/bring-up.ts'
import { askDown } from '../local/control.ts'
import type { Layer } from '../local/part.ts'
import { stateDir } from '../local/plan.ts'
import { stackConfig } from '../local/servers.ts'
import { createStages } from '../local/stage.ts'

/** Brings up one layer, and the infrastructure below it where that is missing; both go on in the background. */
export async function startLayer(
  layer: Layer,
  overrides: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const { config, status } = await stackConfig(overrides)
  const layers: Layer[] = layer === 'infra' ? ['infra'] : ['infra', layer]
  const stages = createStages()
  const started = await bringUp(config, layers, { stages, signal })
  const extra = (status?.parts ?? [])
    .filter((part) => part.layer === 'consumers' && layer === 'consumers' && part.state !== 'stopped')
    .filter((part) => Number(part.name.split('-')[1]) > config.CONSUMERS)
    .map((part) => part.name)
  if (extra.length > 0) {
    await stages.run(
      'stopping',
      () => askDown(stateDir(config), extra),
      (names) => names.join(', '),
    )
  }
  if (started.length === 0 && extra.length === 0) process.stderr.write('already running\n')
  for (const name of started) console.log(name)
}
