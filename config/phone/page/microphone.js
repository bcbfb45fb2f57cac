// The microphone: a stream, or one sentence that says why there is none.

import { chosen } from './devices.js';

const REFUSED = {
  NotAllowedError:
    'The browser does not let this page use the microphone. Allow it in the address bar, then try again.',
  NotFoundError: 'No microphone was found. Plug one in, then try again.',
  NotReadableError: 'The microphone does not work, or another program holds it.',
  AbortError: 'The microphone could not be started.',
  SecurityError: 'The settings of this browser forbid microphones.',
};
const GONE = ['OverconstrainedError', 'NotFoundError'];

// Ask the browser for it. Throws an Error whose message is for people.
export async function openMicrophone() {
  if (!navigator.mediaDevices) {
    throw new Error('This page came by http from another machine: browsers give it no microphone. Open it by https.');
  }
  try {
    return await opened(chosen('microphone'));
  } catch ({ name, message }) {
    throw new Error(REFUSED[name] ?? `There is no microphone (${message}).`);
  }
}

// The chosen microphone; if it is not there any more, that of the system.
async function opened(id) {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: id ? { deviceId: { exact: id } } : true });
  } catch (error) {
    if (!id || !GONE.includes(error.name)) throw error;
    return navigator.mediaDevices.getUserMedia({ audio: true });
  }
}

export function closeMicrophone(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

// Let a connection send the sound of another microphone. Without a connection there is nothing to do yet.
export async function speakInto(track, connection) {
  const senders = (connection?.getSenders() ?? []).filter((sender) => sender.track);
  await Promise.all(senders.map((sender) => sender.replaceTrack(track)));
}
