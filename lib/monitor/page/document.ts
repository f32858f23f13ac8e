import { html, raw } from 'hono/html'
import type { Who } from '../who/identity.ts'
import { toHtml, type Element } from './tree.ts'

/** The frame around every page. `live` names the stream that keeps it fresh; null: a page that stands still. */
export function documentOf(input: {
  title: string
  tree: Element
  live: { view: string; version: number } | null
  serverTime: number
  /** what this one may not do is not offered */
  who: Who
}) {
  const { title, tree, live, serverTime, who } = input
  return html`<!doctype html>
    <html
      lang="en"
      data-time="${serverTime}"
      data-view="${live?.view ?? ''}"
      data-version="${live?.version ?? ''}"
      data-role="${who.role}"
    >
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="/public/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/public/uplot.css" />
        <link rel="stylesheet" href="/public/monitor.css" />
        <script type="module" src="/public/monitor.js"></script>
      </head>
      <body>
        <a class="skip" href="#content">Skip to the content</a>
        <div id="stale" role="status" hidden></div>
        <div id="notes" role="alert"></div>
        ${raw(toHtml(tree, serverTime))}
        <footer class="tools">
          <button type="button" id="pause" accesskey="p" hidden>Pause</button>
          <button type="button" id="theme" hidden>Theme</button>
          <button type="button" id="help" hidden>Keys</button>
          <span id="clock"></span>
          ${
            who.isSession
              ? html`<form method="post" action="/logout"><button>Log out ${who.name}</button></form>`
              : ''
          }
          <dialog id="keys" aria-label="Keys">
            <p>
              j, k: next and previous row · a: acknowledge the row · p: pause · /: find a sensor · ?: this
              help
            </p>
            <form method="dialog"><button>Close</button></form>
          </dialog>
        </footer>
      </body>
    </html>`
}
