// The microphone: a stream, or one sentence that says why there is none.

const REFUSED = {
  NotAllowedError:
    'The browser does not let this page use the microphone. Allow it in the address bar, then try again.',
  NotFoundError: 'No microphone was found. Plug one in, then try again.',
  NotReadableError: 'The microphone does not work, or another program holds it.',
  AbortError: 'The microphone could not be started.',
  SecurityError: 'The settings of this browser forbid microphones.',
};

// Ask the browser for it. Throws an Error whose message is for people.
export async function openMicrophone() {
  if (!navigator.mediaDevices) {
    throw new Error('This page came by http from another machine: browsers give it no microphone. Open it by https.');
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch ({ name, message }) {
    throw new Error(REFUSED[name] ?? `There is no microphone (${message}).`);
  }
}

export function closeMicrophone(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}
