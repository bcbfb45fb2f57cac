// What the findings mean, in plain words, and what to do. Each step has a mood, a headline, words, and facts to show.

import { certificatePage, whyClosed } from './words.js';

const DAY = 86_400;
const SOON_DAYS = 14;
const KINDS = {
  host: 'the addresses of this machine',
  srflx: 'the address that the internet sees (by STUN)',
  prflx: 'an address that another side saw',
  relay: 'an address at a relay (by TURN)',
};
const UNREACHABLE = 701; // of icecandidateerror: no answer of the server

const good = (headline, words = '', facts = []) => ({ mood: 'good', headline, words, facts });
const doubtful = (headline, words, facts = []) => ({ mood: 'waiting', headline, words, facts });
const bad = (headline, words, facts = []) => ({ mood: 'bad', headline, words, facts });
const unknown = (headline, words) => ({ mood: 'off', headline, words, facts: [] });

// Whether the listener of the server works, as the server itself sees it.
export function aboutListener(server) {
  if (server.problem) return unknown('not known', server.problem);
  if (!server.server) {
    return bad('no listener', 'The server has no listener for browsers. Set REGISTRAR_SIP_WSS, and restart it.');
  }
  const facts = [['Address', server.server]];
  if (server.listening === null) {
    return { ...unknown('not known', 'The SIP side runs elsewhere: this server cannot look at it.'), facts };
  }
  if (server.listening) return good('listening', 'The server has connected to itself, as a phone does.', facts);
  return bad('not listening', `The server has tried it itself: ${server.why}. Look at its log, and restart it.`, facts);
}

// Whether the certificate is good for this page.
export function aboutCertificate(server) {
  const { certificate } = server;
  if (!certificate) {
    return unknown('not known', 'The server cannot see the certificate that browsers get: a proxy stands before it, ' +
      'or it does not listen.');
  }
  const facts = [
    ['For', certificate.names.join(', ') || 'no name'],
    ['Signed by', certificate.selfSigned ? `${certificate.issuer}, which is itself` : certificate.issuer],
    ['Valid until', new Date(certificate.expires * 1000).toLocaleString()],
  ];
  return { ...certificateVerdict(certificate, host(server.server), server.now), facts };
}

function certificateVerdict({ matches, begins, expires, selfSigned, distrust }, name, now) {
  const days = Math.floor((expires - now) / DAY);
  if (expires <= now) return bad('expired', 'The certificate has run out: every browser refuses it. Renew it.');
  if (begins > now) return bad('not valid yet', 'The certificate begins later. Look at the clock of the server.');
  if (!matches) {
    return bad('for another name', `The phone connects to ${name}, and the certificate is not for this name. Open ` +
      'this page by a name that the certificate has, set REGISTRAR_PUBLIC_HOST to one, or get another certificate.');
  }
  if (selfSigned) {
    return doubtful('self-signed', 'No authority vouches for it: each browser must be told once to accept it. For ' +
      'phones of other people, get a certificate of an authority (REGISTRAR_TLS_CERT).');
  }
  if (distrust) {
    return doubtful('not complete, or of an unknown authority', `The server does not trust it itself: ${distrust}. ` +
      'Mostly the certificate of the intermediate authority is missing in REGISTRAR_TLS_CERT.');
  }
  if (days < SOON_DAYS) return doubtful(`ends in ${days} days`, 'It works now. Renew it soon.');
  return good('good', `It is for ${name}, and is valid for ${days} days more.`);
}

// Why the WebSocket of this browser opens or does not.
export function aboutConnection(socket, server, url) {
  if (!url) return unknown('not tested', 'There is no address to connect to.');
  const facts = [['Address', url], ...(socket.open ? [] : [['Close code', closed(socket)]])];
  if (socket.open) return good('connects', 'This browser reaches the server, and trusts its certificate.', facts);
  return { ...whyNot(socket, server, url), facts };
}

function whyNot(socket, server, url) {
  if (server.origin === false) {
    return bad('this page may not connect', `The server takes no pages from ${location.origin}: add it to ` +
      'REGISTRAR_WS_ORIGINS.');
  }
  if (server.listening === false) {
    return bad('nothing to connect to', 'The server does not listen, see above: this browser is not the cause.');
  }
  if (socket.code !== null && socket.code !== 1006) return bad('closed', whyClosed(socket.code, false, url));
  const certificate = server.certificate && certificateVerdict(server.certificate, host(url), server.now);
  if (certificate && certificate.mood !== 'good' && socket.code !== null) {
    return bad('the certificate is refused', `It is ${certificate.headline}. ${certificate.words} To accept it ` +
      `in this browser, open ${certificatePage(1006, false, url)} once, and come back.`);
  }
  return bad('not reached', `${known(server, certificate)} this browser does not get through to ` +
    `${new URL(url).host}. A firewall, a proxy or the network in between holds this port back: open it, or ask who ` +
    'runs the network.');
}

function known({ listening }, certificate) {
  if (!listening) return 'What listens there is not known, and';
  return certificate ? 'The server listens, and its certificate is right, but' : 'The server listens, but';
}

function closed({ code, reason }) {
  return code === null ? 'none, no answer in time' : `${code}${reason && ` ${reason}`}`;
}

// Which ways ICE has found.
export function aboutSound({ kinds, errors }, iceServers) {
  const facts = [
    ['Found', kinds.map((kind) => KINDS[kind] ?? kind).join('; ') || 'nothing'],
    ...errors.map(({ url, code, text }) => [url || 'a server', `${code} ${text}`]),
  ];
  if (kinds.length === 0) {
    const why = 'The browser finds no address at all: a setting or an extension of it forbids WebRTC.';
    return bad('no way for sound', why, facts);
  }
  const asked = iceServers.length > 0;
  if (!asked) {
    return doubtful('only direct ways', 'Sound goes directly between this browser and the server. From home or a ' +
      'mobile network that may not be enough. This page knows of no STUN or TURN server: open it from the phone, by ' +
      'its link “Self-test”, to test those of the account.', facts);
  }
  if (kinds.includes('srflx') || kinds.includes('relay')) return good('finds a way', '', facts);
  return doubtful('only direct ways', 'No STUN or TURN server has answered: a firewall may let no UDP pass.', facts);
}

// Whether TURN answers, and lets data through.
export function aboutRelay({ kinds, errors }, relayed, turn) {
  if (turn.length === 0) {
    return unknown('no TURN server', 'The account names none. Phones behind strict firewalls need one ' +
      '(REGISTRAR_TURN_URLS).');
  }
  const facts = [['Servers', turn.join(', ')]];
  if (relayed) return good('answers', 'Two connections of this page have met at the relay.', facts);
  if (kinds.includes('relay')) {
    return bad('answers, but lets nothing through', 'It gives an address, and no data came back from there: look at ' +
      'its range of ports (min-port, max-port) and at the firewall before it.', facts);
  }
  const refused = errors.find(({ code }) => code !== UNREACHABLE);
  if (refused) {
    return bad('refuses the credentials', `It says ${refused.code} ${refused.text.replace(/\.$/, '')}. The secret of ` +
      'the server and REGISTRAR_TURN_SECRET must be the same, and their clocks too; or the account is too ' +
      'old.', facts);
  }
  return bad('does not answer', 'No TURN server has answered: is it running, and is its port open?', facts);
}

// The first thing that is wrong, for the top of the page.
export function verdict(steps) {
  const worst = steps.find(({ mood }) => mood === 'bad') ?? steps.find(({ mood }) => mood === 'waiting');
  if (!worst) return good('everything works');
  const told = `${worst.title}: ${worst.headline}`;
  return worst.mood === 'bad' ? bad(told, worst.words) : doubtful(`It works. ${told}`, worst.words);
}

function host(url) {
  return URL.canParse(url) ? new URL(url).hostname : '';
}
