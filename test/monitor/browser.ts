import { readFileSync } from 'node:fs'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'

/** What must not happen on any page: dialogs, refused scripts or styles, errors. */
export interface Watched {
  page: Page
  troubles: string[]
  close(): Promise<void>
}

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  context.setDefaultTimeout(5000)
  const page = await context.newPage()
  const troubles: string[] = []
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('pageerror', (error) => void troubles.push(`error: ${error.message}`))
  page.on('console', (message) => {
    // A refused policy is an error here; a stream that the test itself cut is not.
    if (message.type() === 'error' && !/ERR_|Failed to load resource/.test(message.text()))
      troubles.push(`console: ${message.text()}`)
  })
  await page.goto(url, { waitUntil: 'domcontentloaded' })
  return { page, troubles, close: () => context.close() }
}

const AXE = readFileSync(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')

/** What axe finds wrong with a page as it is now: the rule and the first places. */
export async function axeFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const { violations } = await (globalThis as any).axe.run(document, { resultTypes: ['violations'] })
    return violations.map(
      (v: any) =>
        `${v.id}: ${v.nodes
          .slice(0, 3)
          .map((n: any) => n.html)
          .join(' | ')}`,
    )
  })
}
