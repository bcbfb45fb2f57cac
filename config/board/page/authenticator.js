// The first login of a person whose customer requires an authenticator: set it up, and keep the recovery codes.

import { confirmAuthenticator, newAuthenticator } from './api.js';
import { html, useEffect, useState } from './html.js';
import { Code } from './softphone.js';

// `login` has username and password; `ready()` is called when logins can go on.
export function Authenticator({ login, ready }) {
  const [made, setMade] = useState(null);
  const [codes, setCodes] = useState(null);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    newAuthenticator(login).then(setMade, (error) => setProblem(error.message));
  }, []);
  const submitted = async (event) => {
    event.preventDefault();
    try {
      setCodes((await confirmAuthenticator({ ...login, code: event.target.elements.code.value })).recoveryCodes);
    } catch (error) {
      setProblem(error.message);
    }
  };
  if (codes) return html`<${Codes} codes=${codes} ready=${ready} />`;
  return html`
    <main class="login">
      <h1>Set up an authenticator</h1>
      <p>Your company requires a second factor. Scan the picture with an authenticator, and type the code that it
        shows.</p>
      ${made && html`<form class="card" onSubmit=${submitted}>
        <${Code} svg=${made.qr} title="your authenticator" />
        <label>Secret, for an authenticator without a camera <input readonly value=${made.secret} /></label>
        <label>Code <input name="code" required autocomplete="one-time-code" inputmode="numeric" /></label>
        <div class="buttons"><button class="primary">Confirm</button></div>
      </form>`}
      <p class="problem" role="alert">${problem}</p>
    </main>`;
}

function Codes({ codes, ready }) {
  return html`
    <main class="login">
      <h1>Keep your recovery codes</h1>
      <p>Each lets you in once if the authenticator is lost. They are not shown again.</p>
      <pre>${codes.join('\n')}</pre>
      <div class="buttons"><button class="primary" onClick=${ready}>They are kept: log in</button></div>
    </main>`;
}
