// The buttons below a table that is read in pages: `steps` says where each page after the first begins.

import { html } from './html.js';

export function Steps({ steps, setSteps, next, save }) {
  return html`
    <div class="buttons steps">
      ${steps.length > 0 && html`<button type="button" onClick=${() => setSteps(steps.slice(0, -1))}>Newer</button>`}
      ${next && html`<button type="button" onClick=${() => setSteps([...steps, next])}>Older</button>`}
      <button type="button" onClick=${save}>Save as CSV</button>
    </div>`;
}
