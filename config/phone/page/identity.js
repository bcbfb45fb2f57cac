// The identity of a party, as the server asserts it in a header: a number and a name.

import JsSIP from 'jssip';

// The identity in a header of a message; null when it has none. RFC 3325, RFC 7315.
export function identityIn(message, header) {
  const value = message?.getHeader(header);
  const parsed = value ? JsSIP.NameAddrHeader.parse(value) : null;
  return parsed ? { number: parsed.uri.user ?? '', name: parsed.display_name ?? '' } : null;
}

// "200, Anna": how one finds oneself on the page.
export function named({ number, name }) {
  return [number, name].filter(Boolean).join(', ');
}
