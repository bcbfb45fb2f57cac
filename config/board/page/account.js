// The account of a phone, to be typed into a softphone.

import { html, useEffect, useRef } from './html.js';

export function Account({ account, close }) {
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), []);
  const rows = [['Username', account.username], ['Password', account.password], ['Domain', account.domain],
    ['Server', account.proxy], ['WebSocket', account.server]].filter(([, value]) => value);
  return html`
    <section class="card account" aria-labelledby="account">
      <h2 id="account" tabindex="-1" ref=${heading}>Account for a softphone</h2>
      <dl>${rows.map(([name, value]) => html`<dt>${name}</dt><dd><code>${value}</code></dd>`)}</dl>
      <div class="buttons"><button type="button" onClick=${close}>Hide</button></div>
    </section>`;
}
