import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Files for the browser: a fixed list, read once; no path of a request ever reaches the disk. */
const DIR = join(import.meta.dir, 'public')
const MODULES = join(import.meta.dir, '../../node_modules')

export interface PublicFile {
  body: Uint8Array<ArrayBuffer>
  type: string
  etag: string
}

const SCRIPT = 'text/javascript; charset=utf-8'
const STYLE = 'text/css; charset=utf-8'
const LIST: [name: string, path: string, type: string][] = [
  ['monitor.css', join(DIR, 'monitor.css'), STYLE],
  ['monitor.js', join(DIR, 'monitor.js'), SCRIPT],
  ['charts.js', join(DIR, 'charts.js'), SCRIPT],
  ['patch.js', join(DIR, 'patch.js'), SCRIPT],
  ['icon.svg', join(DIR, 'icon.svg'), 'image/svg+xml'],
  ['uplot.js', join(MODULES, 'uplot/dist/uPlot.esm.js'), SCRIPT],
  ['uplot.css', join(MODULES, 'uplot/dist/uPlot.min.css'), STYLE],
]

export function readPublicFiles(): Map<string, PublicFile> {
  return new Map(
    LIST.map(([name, path, type]) => {
      const body = new Uint8Array(readFileSync(path))
      return [name, { body, type, etag: `"${Bun.hash.wyhash(body).toString(36)}"` }]
    }),
  )
}
