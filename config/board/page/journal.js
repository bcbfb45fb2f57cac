// What happened to a phone, and the addresses at which it can be reached.

import { html } from './html.js';
import { addressAndPort, causeOf, eventOf, timeOf } from './words.js';

export function Journal({ events }) {
  return html`
    <section class="card" aria-labelledby="journal">
      <h2 id="journal">What happened</h2>
      ${events?.length === 0 && html`<p class="faint">Nothing yet.</p>`}
      <ol class="journal">${events?.map((event) => html`<li>
        <time datetime=${event.time}>${timeOf(event.time)}</time> <strong>${eventOf(event.event)}</strong>${' '}
        <span>${detailOf(event)}</span></li>`)}</ol>
    </section>`;
}

function detailOf({ event, reason, ip, port, transport, userAgent, count, by }) {
  const why = reason && reason !== event ? causeOf(reason) : '';
  const from = ip ? `from ${addressAndPort(ip, port)}` : '';
  const over = transport ? `over ${transport.toUpperCase()}` : '';
  const times = count > 1 ? `${count} times` : '';
  return [why, [from, over].filter(Boolean).join(' '), userAgent, times, by && `by ${by}`].filter(Boolean).join(' · ');
}

export function Bindings({ bindings }) {
  return html`
    <section class="card" aria-labelledby="bindings">
      <h2 id="bindings">Bindings</h2>
      ${bindings?.length === 0 && html`<p class="faint">None: no call can reach this phone.</p>`}
      <ul class="bindings">${bindings?.map((binding) => html`<li>
        <code>${binding.contact}</code>
        <span>${addressAndPort(binding.publicIpAddress, binding.publicPort)} over ${binding.transport.toUpperCase()}
          ${' '}· until ${timeOf(binding.expiresAt)} · since ${timeOf(binding.registeredAt)}
          ${binding.silentSince && ` · silent since ${timeOf(binding.silentSince)}`}
          ${binding.userAgent && ` · ${binding.userAgent}`}</span></li>`)}</ul>
    </section>`;
}
