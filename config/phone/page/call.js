// One call as one state. JsSIP's session does the work, the microphone and the speaker belong to the call.

import { transferSays, whyEnded, whyFailed } from './call_words.js';
import { chosen } from './devices.js';
import { identityIn } from './identity.js';
import { closeMicrophone, openMicrophone, speakInto } from './microphone.js';
import { Meter } from './sound.js';

const GATHERING_MS = 500; // what the browser knows by then of its addresses has to do
const SESSION_SECONDS = 1800; // RFC 4028
const KEY_MS = 160;
const KEY_GAP_MS = 60;
const KEPT_BACK = 'The browser keeps the sound back: hang up, click on the page, and call again.';
const LOST = 'The sound does not get through at the moment.';
const HOLD_AGAIN_MS = 200;
const HOLD_TRIES = 25;
const BUSY = { status_code: 486, reason_phrase: 'Busy Here' };

const START = {
  incoming: false,
  number: '',
  name: '',
  state: 'asking', // asking (for the microphone), calling, ringing, incoming, answering, talking, ended
  early: false, // the other side sends sound before it answers
  since: null, // ms of the clock: when it was answered
  until: null, // ms of the clock: when it ended
  muted: false,
  held: false,
  heldByOther: false,
  keys: '', // that were pressed
  transfer: '', // what became of it
  trouble: '', // with the sound
  why: '', // it ended
};

// `show(call)` is called after each change.
export class Call {
  #state = START;
  #show;
  #pcConfig;
  #session = null;
  #microphone = null;
  #speaker = new Audio();
  #meters = {};
  #transferred = '';

  constructor(iceServers, show, known) {
    this.#pcConfig = { iceServers, rtcpMuxPolicy: 'require' };
    this.#show = show;
    this.#state = { ...START, ...known };
  }

  get state() {
    return this.#state;
  }

  get live() {
    return this.#state.state !== 'ended';
  }

  // Decibels, null where there is nothing to measure.
  get levels() {
    const level = (name) => this.#meters[name]?.level ?? null;
    return { microphone: level('microphone'), speaker: level('speaker') };
  }

  // Call out. `call(options)` makes the session.
  async start(call) {
    this.#change({});
    if (!(await this.#openMicrophone()) || !this.live) return;
    this.#change({ state: 'calling' });
    this.adopt(call(this.options));
  }

  // How JsSIP creates our session.
  get options() {
    return {
      mediaStream: this.#microphone,
      mediaConstraints: { audio: true, video: false },
      pcConfig: this.#pcConfig,
      sessionTimersExpires: SESSION_SECONDS,
    };
  }

  // Take a session over, with what it will tell.
  adopt(session) {
    this.#session = session;
    session.on('icecandidate', ({ ready }) => setTimeout(ready, GATHERING_MS));
    session.on('progress', ({ originator, response }) => {
      if (originator !== 'remote') return;
      this.#name(response);
      this.#change({ state: 'ringing', early: this.#state.early || Boolean(response.body) });
    });
    session.on('accepted', ({ originator, response }) => {
      if (originator === 'remote') this.#name(response);
      this.#change({ state: 'talking', since: Date.now() });
    });
    session.on('hold', ({ originator }) => this.#held(originator, true));
    session.on('unhold', ({ originator }) => this.#held(originator, false));
    session.on('muted', () => this.#change({ muted: true }));
    session.on('unmuted', () => this.#change({ muted: false }));
    session.on('failed', (event) => this.#end(whyFailed(event, this.#state.incoming)));
    session.on('ended', (event) => this.#end(this.#transferred || whyEnded(event)));
    if (session.connection) this.#listen(session.connection);
    this.#change({});
  }

  async answer() {
    if (this.#state.state !== 'incoming') return;
    this.#change({ state: 'answering', trouble: '' });
    const opened = await this.#openMicrophone();
    if (!this.live) return;
    if (!opened) {
      this.#change({ state: 'incoming' }); // it goes on ringing, the user may allow the microphone now
      return;
    }
    this.#session.answer(this.options);
    if (this.#session.connection) this.#listen(this.#session.connection);
  }

  // Hang up, take back or decline, whatever it takes to end it.
  hangUp() {
    if (!this.live) return;
    if (this.#session === null) this.#end('You hung up before the call was answered.');
    else this.#session.terminate(this.#state.since === null && this.#state.incoming ? BUSY : {});
  }

  // Speak into the chosen microphone from now on.
  async changeMicrophone() {
    if (!this.#microphone) return;
    const before = this.#microphone;
    if (!(await this.#openMicrophone(true))) return;
    const [track] = this.#microphone.getAudioTracks();
    track.enabled = !this.#state.muted && !this.#state.held;
    await speakInto(track, this.#session?.connection);
    closeMicrophone(before);
  }

  // Hear the other side in the chosen speaker; where it is not there any more, in that of the system.
  async changeSpeaker() {
    await this.#speaker.setSinkId?.(chosen('speaker')).catch(() => this.#speaker.setSinkId(''));
  }

  mute() {
    if (this.#state.muted) this.#session.unmute({ audio: true });
    else this.#session.mute({ audio: true });
  }

  // JsSIP refuses while the re-INVITE before is under way: a request that comes earlier is sent when it is over.
  #turnHold(held, tries = HOLD_TRIES) {
    if (this.#state.state !== 'talking' || this.#state.held === held) return;
    const begun = held ? this.#session.hold() : this.#session.unhold();
    if (!begun && tries) setTimeout(() => this.#turnHold(held, tries - 1), HOLD_AGAIN_MS);
  }

  hold() {
    this.#turnHold(true);
  }

  resume() {
    this.#turnHold(false);
  }

  // One key, as a telephone event in the sound (RFC 4733).
  press(key) {
    const senders = this.#session.connection.getSenders();
    if (!senders.some((sender) => sender.dtmf?.canInsertDTMF)) {
      this.#change({ trouble: 'The other side takes no keys.' });
      return;
    }
    this.#session.sendDTMF(key, { transportType: 'RFC2833', duration: KEY_MS, interToneGap: KEY_GAP_MS });
    this.#change({ keys: this.#state.keys + key });
  }

  // Blind transfer: ask the other side to call `number`; it is theirs when that one has answered.
  transfer(number) {
    const tell = (transfer) => this.#change({ transfer });
    tell(`transferring to ${number}`);
    const accepted = () => {
      this.#transferred = `Transferred to ${number}.`;
      tell('transferred');
      this.hangUp();
    };
    this.#session.refer(number, { eventHandlers: { ...transferSays(number, tell), accepted } });
  }

  // Open the microphone, or tell why it cannot be. A call that is talked in goes on with the one that it has.
  async #openMicrophone(talking = false) {
    try {
      const stream = await openMicrophone();
      if (!this.live) {
        closeMicrophone(stream);
        return false;
      }
      this.#microphone = stream;
    } catch ({ message }) {
      if (this.#state.incoming || talking) this.#change({ trouble: message });
      else this.#end(message);
      return false;
    }
    const [track] = this.#microphone.getAudioTracks();
    track.addEventListener('ended', () => this.#change({ trouble: 'The microphone is gone.' }));
    this.#meters.microphone?.close();
    this.#meters.microphone = new Meter(this.#microphone);
    return true;
  }

  #listen(connection) {
    connection.addEventListener('track', ({ track, streams }) => this.#hear(streams[0] ?? new MediaStream([track])));
    connection.addEventListener('connectionstatechange', () => {
      const lost = connection.connectionState === 'disconnected';
      if (lost) this.#change({ trouble: LOST });
      else if (this.#state.trouble === LOST) this.#change({ trouble: '' });
    });
  }

  #hear(stream) {
    this.#speaker.srcObject = stream;
    this.changeSpeaker();
    this.#speaker.play().catch(({ name }) => {
      if (name === 'NotAllowedError') this.#change({ trouble: KEPT_BACK });
    });
    this.#meters.speaker?.close();
    this.#meters.speaker = new Meter(stream);
  }

  #held(originator, held) {
    this.#change(originator === 'local' ? { held } : { heldByOther: held });
  }

  // Show who has been reached, as the server asserts it: a name, and another number after a forward.
  #name(response) {
    const { number, name } = identityIn(response, 'p-asserted-identity') ?? {};
    if (number || name) this.#change({ number: number || this.#state.number, name: name || '' });
  }

  #end(why) {
    if (!this.live) return;
    closeMicrophone(this.#microphone);
    this.#speaker.srcObject = null;
    Object.values(this.#meters).forEach((meter) => meter.close());
    this.#meters = {};
    this.#change({ state: 'ended', until: Date.now(), why, trouble: '' });
  }

  #change(changes) {
    this.#state = { ...this.#state, ...changes };
    this.#show(this);
  }
}
