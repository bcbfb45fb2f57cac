// How far the provisioning of a phone is: what it has loaded, a new first link, and the link for a softphone.

import { Asking } from './dialog.js';
import { html, useState } from './html.js';
import { Softphone } from './softphone.js';
import { useLoaded, useNews } from './tools.js';
import { provisioningOf, timeOf } from './words.js';

const LOADED = 'configured';
const NEWS_MS = 500;
const REARM = 'The phone loads its configuration once more from a new URL, as when it was reset.';
const RESTART = 'It loads its configuration and registers again. A call that it has may be lost.';
const RESTARTED = 'The phone was told to restart.';
const ASKED = 'The phone was asked to load its configuration.';
const ARMED = 'Enter this URL in the phone. It is shown now, and never again.';

// `reload()` loads the phone again; `status` has when its configuration was saved and loaded.
export function Provisioning({ board, id, account, status, reload }) {
  const path = `/pbx/sipphone/${id}`;
  const load = (signal) => board.api.get(`${path}/provisioning`, {}, signal);
  const { value, problem, reload: again } = useLoaded(load, [id]);
  useNews(board.feed, ({ event, phone }) => event === LOADED && phone === id, again, NEWS_MS);
  const may = (action) => board.may(`POST /pbx/sipphone/{id}/${action}`);
  if (problem) return html`<p class="problem" role="alert">${problem}</p>`;
  if (!value || value.state === 'off') return null;
  const isDesk = value.state !== 'unsupported';
  return html`
    ${isDesk && html`<${Desk} ...${{ board, path, may, status }} standing=${value}
      reload=${() => Promise.all([again(), reload()])} />`}
    ${may('provisioning') && html`<${Softphone} ...${{ board, id, account }} />`}`;
}

function Desk({ board, path, may, standing, status, reload }) {
  const [done, setDone] = useState('');
  const [problem, setProblem] = useState('');
  const [url, setUrl] = useState('');
  const ask = async () => {
    setProblem('');
    try {
      await board.api.post(`${path}/configreload`);
      setDone(ASKED);
      await reload();
    } catch (error) {
      setDone('');
      setProblem(error.message);
    }
  };
  const restart = async () => {
    await board.api.post(`${path}/reboot`);
    setProblem('');
    setDone(RESTARTED);
    await reload();
  };
  const rearm = async () => {
    setUrl((await board.api.post(`${path}/provisioning`, { rearm: true })).url);
    setDone(ARMED);
    await reload();
  };
  return html`
    <section class="card" aria-labelledby="provisioning">
      <h2 id="provisioning">Configuration</h2>
      <p class="sentence">${provisioningOf(standing, status)}</p>
      <dl>${factsOf(standing, status).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
      <div class="buttons">
        ${may('configreload') && html`<button type="button" onClick=${ask}>Reload the configuration</button>`}
        ${may('reboot') && html`<${Asking} label="Restart the phone" question="Restart this phone?"
          detail=${RESTART} act=${restart} />`}
        ${may('provisioning') && html`<${Asking} label="New first URL" question="Make a new URL for this phone?"
          detail=${REARM} act=${rearm} />`}
      </div>
      <p class="problem" role="alert">${problem}</p>
      <p class="done" role="status">${done}</p>
      ${url && html`<label>URL <input class="link" name="url" readonly value=${url}
        onFocus=${(event) => event.target.select()} /></label>`}
    </section>`;
}

function factsOf({ armedUntil, expectedUntil }, { configSaved, configLoaded }) {
  return [
    ['Saved', timeOf(configSaved)],
    ['Loaded', timeOf(configLoaded) || 'never'],
    ['First URL until', timeOf(armedUntil)],
    ['Expected until', timeOf(expectedUntil)],
  ].filter(([, value]) => value);
}
