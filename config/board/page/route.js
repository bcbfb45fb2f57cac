// Where one is on the board, as the fragment of the address: #/phones?state=offline, #/phones/<id>, #/calls.

import { useEffect, useState } from './html.js';

export const PHONES = 'phones';

// The place that the address names: { page, id, query }.
export function placeOf(fragment) {
  const [path, question = ''] = fragment.replace(/^#\/?/, '').split('?');
  const [page, id = ''] = path.split('/');
  return { page: page || PHONES, id, query: Object.fromEntries(new URLSearchParams(question)) };
}

// The address of a place.
export function addressOf(page, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  return `#/${page}${given.length ? `?${new URLSearchParams(given)}` : ''}`;
}

// Change the query of a page, without a step in the history for each letter. It begins with the query of this moment: a
// view may not have seen the change before.
export function changeQuery(page, changes) {
  const { query } = placeOf(location.hash);
  history.replaceState(null, '', addressOf(page, { ...query, ...changes }));
  dispatchEvent(new HashChangeEvent('hashchange'));
}

// The present place.
export function usePlace() {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const changed = () => setPlace(placeOf(location.hash));
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return place;
}
