import { chromium, type Browser } from 'playwright-core'

/** `bun chaos/act/picture.ts URL FILE.png`: what a person sees there now; of the list of incidents the newest one's story. */
if (import.meta.main) {
  const [url = '', path = ''] = process.argv.slice(2)
  const browser = await openBrowser()
  const page = await browser.newPage({ viewport: { width: 1180, height: 620 } })
  await page.goto(url, { waitUntil: 'domcontentloaded' })
  const newest = url.endsWith('/incidents') ? page.locator('a[href^="/incidents/"]').first() : null
  if (newest && (await newest.count()) > 0) await newest.click()
  await page.waitForTimeout(2500) // the stream has brought what happened since
  await page.screenshot({ path })
  await browser.close()
}

/** A real Chromium, the distribution's: `apt-get install chromium`. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = ['chromium', 'chromium-browser', 'google-chrome']
    .map((name) => Bun.which(name))
    .find(Boolean)
  if (!executablePath)
    throw new Error('Cannot open pages: no Chromium is installed: apt-get install chromium')
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}
