// Run first in a page: its microphone is a tone of window.toneHertz, if that is not 0, and window.heard() tells what
// its call hears.
//
// A remote stream is silent for an analyser until an element plays it: the page under test does that.
'use strict';

(() => {
  const BINS = 4096;
  const LOUDNESS = 0.4;
  const connections = [];
  const analysers = new Map();
  let context = null;

  const tone = async () => {
    context ??= new AudioContext();
    const source = new OscillatorNode(context, { frequency: window.toneHertz });
    const softer = new GainNode(context, { gain: LOUDNESS });
    const microphone = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    source.connect(softer).connect(microphone);
    source.start();
    return microphone.stream;
  };
  if (window.toneHertz) navigator.mediaDevices.getUserMedia = tone;

  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...given) {
      super(...given);
      connections.push(this);
      this.addEventListener('track', ({ track, streams }) => {
        context ??= new AudioContext();
        const analyser = new AnalyserNode(context, { fftSize: BINS, smoothingTimeConstant: 0 });
        context.createMediaStreamSource(streams[0] ?? new MediaStream([track])).connect(analyser);
        analysers.set(this, analyser);
      });
    }
  };

  // The loudest of what the newest open connection hears.
  window.heard = async () => {
    const connection = connections.findLast(({ connectionState }) => connectionState !== 'closed');
    if (!connection) return { connection: 'none', received: 0, sent: 0, codec: '', hertz: 0, level: -200 };
    const stats = [...(await connection.getStats()).values()];
    const inbound = stats.find(({ type }) => type === 'inbound-rtp');
    const outbound = stats.find(({ type }) => type === 'outbound-rtp');
    const codec = stats.find(({ id }) => id === inbound?.codecId);
    return {
      connection: connection.connectionState,
      received: inbound?.packetsReceived ?? 0,
      sent: outbound?.packetsSent ?? 0,
      codec: codec?.mimeType ?? '',
      ...loudest(analysers.get(connection)),
    };
  };

  function loudest(analyser) {
    if (!analyser) return { hertz: 0, level: -200 };
    const decibels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(decibels);
    const level = Math.max(...decibels);
    return { hertz: (decibels.indexOf(level) * context.sampleRate) / BINS, level: Math.max(level, -200) };
  }
})();
