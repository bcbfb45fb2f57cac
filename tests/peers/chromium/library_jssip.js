// A page of a stranger with JsSIP: nothing in it knows our server, and it says no goodbye when it is left.
import JsSIP from 'jssip';

const link = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const shown = document.body.dataset;
const ua = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(link.server)],
  uri: `sip:${link.username}@${link.domain}`,
  password: link.password,
});
let session = null;

function keep(newest) {
  session = newest;
  shown.calls = session.direction === 'incoming' ? 'incoming' : 'calling';
  session.on('confirmed', () => (shown.calls = 'talking'));
  session.on('ended', () => (shown.calls = 'ended'));
  session.on('failed', () => (shown.calls = 'ended'));
  const listen = (connection) => connection.addEventListener('track', ({ streams }) => window.play(streams[0]));
  if (session.connection) listen(session.connection);
  else session.on('peerconnection', ({ peerconnection }) => listen(peerconnection));
}

ua.on('connected', () => (shown.connection = 'connected'));
ua.on('disconnected', () => {
  shown.connection = 'disconnected';
  shown.cuts = Number(shown.cuts ?? 0) + 1;
  shown.registration = 'none';
});
ua.on('registered', () => (shown.registration = 'registered'));
ua.on('newRTCSession', ({ session: newest }) => keep(newest));
ua.start();

const options = { mediaConstraints: { audio: true, video: false } };
window.dial = (number) => void ua.call(`sip:${number}@${link.domain}`, options);
window.answer = () => session.answer(options);
window.hangUp = () => session.terminate();
