import { html } from 'hono/html'

/** Asks for a token; works without scripts. `to`: the page that somebody wanted. */
export function loginPage({ to, wrong }: { to: string; wrong: boolean }) {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Log in · Plant monitor</title>
        <link rel="icon" href="/public/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/public/monitor.css" />
      </head>
      <body>
        <main id="content" class="alone panel">
          <h1>Plant monitor</h1>
          ${wrong ? html`<p class="fault" role="alert">■ Nobody has that token.</p>` : ''}
          <form method="post" action="/login">
            <input type="hidden" name="to" value="${to}" />
            <label
              >Token
              <input
                type="password"
                name="token"
                required
                autofocus
                maxlength="300"
                autocomplete="current-password"
            /></label>
            <button type="submit">Log in</button>
          </form>
        </main>
      </body>
    </html>`
}
