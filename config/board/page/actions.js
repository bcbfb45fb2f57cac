// What one may do with a phone. What the login may not do is not shown.

import { Asking } from './dialog.js';
import { html, useState } from './html.js';
import { timeOf } from './words.js';

const UNLOCK_MINUTES = 15;
const RESET = 'The phone is offline until it is given the new username and password. All its links and URLs are void.';
const UNLOCK = 'For 15 minutes the phone may register from any address; the first one locks it again.';

// `reload()` loads the phone again; `show()` shows its account.
export function Actions({ board, id, account, status, reload, show }) {
  const [done, setDone] = useState('');
  const path = `/pbx/sipphone/${id}`;
  const post = (action, body, words) => async () => {
    await board.api.post(`${path}/${action}`, body);
    setDone(words);
    await reload();
  };
  const reset = async () => {
    const { nextStep = '' } = await board.api.post(`${path}/resetcredentials`, {});
    setDone(`The phone has new credentials. ${nextStep}`.trim());
    await reload();
    show();
  };
  const may = (action) => board.may(`POST /pbx/sipphone/{id}/${action}`);
  const from = status.lastRejectedIp;
  const isLocked = account.ipMode === 'LOCKED';
  return html`
    <section class="card" aria-labelledby="actions">
      <h2 id="actions">Actions</h2>
      <div class="buttons">
        ${account.password && html`<button type="button" onClick=${show}>Show the account</button>`}
        ${may('acceptaddress') && isLocked && isLockedOut(status) && html`<${Asking}
          label="Accept the new address" kind="primary" question=${`Let this phone in from ${from}?`}
          act=${post('acceptaddress', { address: from }, `The phone may come from ${from}.`)}
          detail=${`It was refused there at ${timeOf(status.lastRejectedAt)}. It is then locked to that address.`} />`}
        ${may('unlock') && isLocked && html`<${Asking} label="Unlock for 15 minutes"
          question="Unlock this phone for 15 minutes?" detail=${UNLOCK}
          act=${post('unlock', { minutes: UNLOCK_MINUTES }, 'The phone is unlocked for 15 minutes.')} />`}
        ${may('resetcredentials') && html`<${Asking} label="New credentials" kind="end"
          question="Make a new username and password?" detail=${RESET} act=${reset} />`}
      </div>
      <p class="done" role="status">${done}</p>
    </section>`;
}

// Whether the last refusal was for the address, and the phone has not come into its present state after it, nor is it
// at that address. Times are in seconds, so a refusal may be in the second of the registration before it.
function isLockedOut({ lastRejectedReason, lastRejectedAt, lastRejectedIp, online, since, publicIpAddress }) {
  const cameAfter = online && (since > lastRejectedAt || publicIpAddress === lastRejectedIp);
  return lastRejectedReason === 'ip-locked' && !cameAfter;
}
