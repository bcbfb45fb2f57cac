// A page of a stranger with SIP.js: nothing in it knows our server, and it says no goodbye when it is left.
import { Inviter, Registerer, SessionState, Subscriber, UserAgent } from 'sip.js';

const AGAIN_MS = 1000;
const link = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const shown = document.body.dataset;
const options = { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } };
const sessions = [];

const ua = new UserAgent({
  uri: UserAgent.makeURI(`sip:${link.username}@${link.domain}`),
  authorizationUsername: link.username,
  authorizationPassword: link.password,
  transportOptions: { server: link.server },
  sessionDescriptionHandlerFactoryOptions: { iceGatheringTimeout: 500, peerConnectionConfiguration: { iceServers: [] } },
  delegate: {
    onConnect() {
      shown.connection = 'connected';
      registerer.register({ requestDelegate: { onAccept: () => (shown.registration = 'registered') } });
    },
    onDisconnect(error) {
      shown.connection = 'disconnected';
      shown.cuts = Number(shown.cuts ?? 0) + 1;
      shown.registration = 'none';
      if (error) reconnect(); // as its documentation advises
    },
    onInvite: (invitation) => keep(invitation, 'incoming'),
  },
});
const registerer = new Registerer(ua);

function reconnect() {
  ua.reconnect().catch(() => setTimeout(reconnect, AGAIN_MS));
}

function keep(session, state) {
  sessions.push(session);
  shown.calls = state;
  session.delegate = { onBye: (bye) => bye.accept() };
  session.stateChange.addListener((now) => {
    if (session !== sessions.at(-1)) return;
    if (now === SessionState.Established) {
      window.play(session.sessionDescriptionHandler.remoteMediaStream);
      shown.calls = 'talking';
    }
    if (now === SessionState.Terminated) shown.calls = 'ended';
  });
}

ua.start();

window.dial = (number) => {
  const inviter = new Inviter(ua, UserAgent.makeURI(`sip:${number}@${link.domain}`), options);
  keep(inviter, 'calling');
  inviter.invite();
};
window.answer = () => void sessions.at(-1).accept(options);
window.hangUp = () => sessions.filter(({ state }) => state === SessionState.Established).forEach((one) => void one.bye());
// An attended transfer: the first one it talked to gets the second one; what it hears of that is `joined`.
window.join = () => {
  const onNotify = (notification) => {
    notification.accept();
    shown.joined = notification.request.body.trim();
  };
  void sessions[0].refer(sessions[1], { onNotify });
};
// A lamp for a number: `lamps` is one word for each NOTIFY, its CSeq, version and the state of the dialog.
const lamps = [];
window.watch = (number) => {
  const subscriber = new Subscriber(ua, UserAgent.makeURI(`sip:${number}@${link.domain}`), 'dialog', { expires: 300 });
  subscriber.delegate = {
    onNotify(notification) {
      notification.accept();
      const { body, cseq } = notification.request;
      const found = (pattern) => pattern.exec(body)?.[1] ?? '';
      lamps.push(`${cseq}/${found(/ version="(\d+)"/)}/${found(/<state[^>]*>([a-z]+)</)}`);
      shown.lamps = lamps.join(' ');
    },
  };
  subscriber.subscribe();
};
