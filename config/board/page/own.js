// The phones of the person who is logged in, for a login that may see no others.

import { html } from './html.js';
import { HAPPENS_TO_PHONES } from './phones.js';
import { useLoaded, useNews } from './tools.js';
import { localised, stateOf } from './words.js';

const NEWS_MS = 500;

export function OwnPhones({ board }) {
  const { value, problem, reload } = useLoaded((signal) => board.api.get('/pbx/sipphone/own', {}, signal), []);
  useNews(board.feed, ({ event }) => HAPPENS_TO_PHONES.has(event), reload, NEWS_MS);
  return html`
    <h1>Your phones</h1>
    <p class="problem" role="alert">${problem}</p>
    ${value?.sipPhones.length === 0 && html`<p>You have no phone: none belongs to an extension of yours.</p>`}
    ${value?.sipPhones.map((phone) => html`<${OwnPhone} key=${phone._id} ...${phone} />`)}`;
}

function OwnPhone({ _id, number, person, summary, status }) {
  const { mood, state, reason } = stateOf(status);
  return html`
    <section class="card state" data-mood=${mood} data-phone=${_id} aria-labelledby=${`own-${_id}`}>
      <h2 id=${`own-${_id}`}>${[number, person, status.userAgent].filter(Boolean).join(', ')}</h2>
      <p class="headline">${state}${reason && `: ${reason}`}</p>
      <p class="sentence">${localised(summary)}</p>
    </section>`;
}
