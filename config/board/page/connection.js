// Whether what the board shows is live; a lost connection is said, and since when.

import { html, useEffect, useState } from './html.js';
import { timeOf } from './words.js';

const EACH_30 = 'the board asks for news each 30 seconds.';

export function Connection({ feed }) {
  const [state, setState] = useState(feed.state);
  useEffect(() => feed.watch((news) => news.state && setState(news.state)), [feed]);
  document.body.dataset.feed = state.name;
  return html`
    <div class="connection" data-state=${state.name}>
      <p role="status">${wordsOf(state)}</p>
      ${state.name === 'lost' && html`<button type="button" onClick=${feed.retry}>Try now</button>`}
    </div>`;
}

function wordsOf({ name, since }) {
  return {
    connecting: 'Connecting…',
    live: 'Live',
    lost: `The connection was lost at ${timeOf(since)}. The board shows what was known then, and tries again.`,
    polling: `This login gets no live events: ${EACH_30}`,
    crowded: `As many boards of this login are live as may be; close another one. Meanwhile ${EACH_30}`,
    closed: '',
  }[name];
}
