// What is heard besides the voice: tones made by the browser itself, and how loud a stream is.

const SILENCE_DB = -100;
const TONES = { // seconds of one round, [begin, end, hertz] of what sounds in it, how loud
  ring: { seconds: 3, loud: 0.25, sounds: [[0, 0.4, 660], [0.4, 0.8, 880], [0.8, 1.2, 660], [1.2, 1.6, 880]] },
  ringback: { seconds: 5, loud: 0.08, sounds: [[0, 1, 425]] },
  waiting: { seconds: 4, loud: 0.05, sounds: [[0, 0.15, 425], [0.3, 0.45, 425]] },
};
const SOFT_SECONDS = 0.01; // a tone that starts at once clicks

let shared = null;

function context() {
  shared ??= new AudioContext();
  return shared;
}

// To be called when the user touches the page: before that the browser lets no tone out.
export function wake() {
  if (shared?.state === 'suspended') shared.resume();
}

// The tone that sounds again and again, one at a time.
export class Ringer {
  #name = '';
  #source = null;

  // One of TONES, or '' for silence.
  play(name) {
    if (name === this.#name) return;
    this.#source?.stop();
    this.#source = null;
    this.#name = name;
    if (name) this.#start(TONES[name]);
  }

  // Whether the browser keeps the tone back until the user touches the page.
  get heldBack() {
    return this.#source !== null && context().state !== 'running';
  }

  #start(tone) {
    wake();
    this.#source = new AudioBufferSourceNode(context(), { buffer: rendered(tone), loop: true });
    this.#source.connect(context().destination);
    this.#source.start();
  }
}

function rendered({ seconds, loud, sounds }) {
  const { sampleRate } = context();
  const buffer = new AudioBuffer({ length: seconds * sampleRate, sampleRate });
  const samples = buffer.getChannelData(0);
  for (const [begin, end, hertz] of sounds) {
    for (let at = Math.ceil(begin * sampleRate); at < end * sampleRate; at += 1) {
      const time = at / sampleRate;
      const soft = Math.min(1, (time - begin) / SOFT_SECONDS, (end - time) / SOFT_SECONDS);
      samples[at] = loud * soft * Math.sin(2 * Math.PI * hertz * time);
    }
  }
  return buffer;
}

// How loud a stream is.
export class Meter {
  #source;
  #analyser;
  #samples;

  constructor(stream) {
    wake();
    this.#source = context().createMediaStreamSource(stream);
    this.#analyser = new AnalyserNode(context(), { fftSize: 2048 });
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source.connect(this.#analyser);
  }

  // Decibels below the loudest there can be, never less than -100.
  get level() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    return Math.max(SILENCE_DB, 10 * Math.log10(power));
  }

  close() {
    this.#source.disconnect();
  }
}
