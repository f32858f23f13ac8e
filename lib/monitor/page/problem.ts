import { html } from 'hono/html'
import type { Problem } from '../problem.ts'

/** What went wrong, for somebody whose form or link did not work; `back`: the page they came from. */
export function problemPage(p: Problem, back: string) {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${p.title} · Plant monitor</title>
        <link rel="icon" href="/public/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/public/monitor.css" />
      </head>
      <body>
        <main id="content" class="alone panel">
          <h1>${p.title}</h1>
          <p>${p.detail ?? ''}</p>
          <ul>
            ${(p.errors ?? []).map((e) => html`<li><strong>${e.field}</strong> ${e.message}</li>`)}
          </ul>
          <p><a href="${back}">Back</a></p>
        </main>
      </body>
    </html>`
}
