// What this browser finds out by itself: whether the WebSocket opens, and which ways ICE finds for sound.

const CONNECT_MS = 10_000;
const STAYS_MS = 700; // a server that refuses a connection closes it at once
const GATHER_MS = 8_000;
const RELAY_MS = 10_000;

// Ask the server what it knows of its own listener. `problem` is set when it does not answer.
export async function askServer(origin) {
  try {
    const answer = await fetch(`/selftest/server?origin=${encodeURIComponent(origin)}`, { cache: 'no-store' });
    if (answer.status === 429) {
      return { problem: `The server was asked too often; ask again in ${answer.headers.get('retry-after')} s.` };
    }
    return answer.ok ? await answer.json() : { problem: `The server answered ${answer.status}.` };
  } catch {
    return { problem: 'The server that this page came from does not answer any more.' };
  }
}

// Open a WebSocket as the phone does: whether it stays open, else how it closed. No code: nothing happened in time.
export function connect(url) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, 'sip');
    const end = (found) => {
      clearTimeout(timer);
      socket.close();
      resolve(found);
    };
    const timer = setTimeout(() => end({ open: false, code: null, reason: '' }), CONNECT_MS);
    socket.addEventListener('open', () => setTimeout(() => end({ open: true }), STAYS_MS));
    socket.addEventListener('close', ({ code, reason }) => end({ open: false, code, reason }));
  });
}

// The kinds of addresses that ICE finds, and what STUN and TURN servers refused.
export async function gather(iceServers) {
  const connection = new RTCPeerConnection({ iceServers });
  const kinds = new Set();
  const errors = [];
  connection.addEventListener('icecandidateerror', ({ url, errorCode, errorText }) => {
    errors.push({ url, code: errorCode, text: errorText });
  });
  const gathered = new Promise((resolve) => {
    connection.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate?.type) kinds.add(candidate.type);
      if (candidate === null) resolve();
    });
  });
  connection.createDataChannel('test');
  await connection.setLocalDescription();
  await Promise.race([gathered, wait(GATHER_MS)]);
  connection.close();
  return { kinds: [...kinds], errors };
}

// Whether data passes through the TURN servers: two connections of this page meet there.
export async function relays(iceServers) {
  const [one, other] = [0, 1].map(() => new RTCPeerConnection({ iceServers, iceTransportPolicy: 'relay' }));
  try {
    const opened = new Promise((resolve) => {
      one.createDataChannel('test').addEventListener('open', () => resolve(true));
    });
    trickle(one, other);
    trickle(other, one);
    await one.setLocalDescription();
    await other.setRemoteDescription(one.localDescription);
    await other.setLocalDescription();
    await one.setRemoteDescription(other.localDescription);
    return await Promise.race([opened, wait(RELAY_MS).then(() => false)]);
  } finally {
    one.close();
    other.close();
  }
}

// Candidates that come before the description of the other side are kept by it until then.
function trickle(from, to) {
  from.addEventListener('icecandidate', ({ candidate }) => {
    if (!candidate) return;
    const add = () => to.addIceCandidate(candidate).catch(() => {});
    if (to.remoteDescription) add();
    else to.addEventListener('signalingstatechange', add, { once: true });
  });
}

function wait(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
