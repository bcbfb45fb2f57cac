// Who is there: the form to log in, with the code of an authenticator if the login needs one.

import { logIn } from './api.js';
import { Authenticator } from './authenticator.js';
import { html, useState } from './html.js';
import { sessionOf } from './session.js';

const NEEDS_CODE = ['totp_required', 'totp_invalid'];
const NEEDS_SETUP = 'totp_setup_required';
const WRONG = {
  credentials_invalid: 'The e-mail address or the password is wrong.',
  totp_required: 'Type the code that your authenticator shows, or a recovery code.',
  totp_invalid: 'The code is wrong, or was used already. Wait for the next one.',
};

// `entered(session)` is called with the new login; `said` is why one has to log in again.
export function Login({ entered, said, email }) {
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [asksCode, setAsksCode] = useState(false);
  const [login, setLogin] = useState(null);
  const submitted = async (event) => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    const { username, password, persist, code } = event.target.elements;
    try {
      const answer = await logIn(username.value, password.value, persist.checked, code?.value);
      entered(sessionOf(answer, username.value));
    } catch (error) {
      if (NEEDS_CODE.includes(error.code)) setAsksCode(true);
      if (error.code === NEEDS_SETUP) setLogin({ username: username.value, password: password.value });
      setProblem(WRONG[error.code] ?? error.message);
      setBusy(false);
    }
  };
  const ready = () => {
    setLogin(null);
    setAsksCode(true);
    setProblem(WRONG.totp_required);
  };
  if (login) return html`<${Authenticator} login=${login} ready=${ready} />`;
  return html`
    <main class="login">
      <h1>Log in</h1>
      ${said && html`<p role="status">${said}</p>`}
      <form class="card" onSubmit=${submitted}>
        <label>E-mail address <input name="username" type="email" required autocomplete="username"
          defaultValue=${email} /></label>
        <label>Password <input name="password" type="password" required autocomplete="current-password" /></label>
        ${asksCode && html`<label>Code <input name="code" required autocomplete="one-time-code"
          maxlength="64" /></label>`}
        <label class="check"><input name="persist" type="checkbox" /> Stay logged in until this tab is closed;
          otherwise for 15 minutes</label>
        <p class="problem" role="alert">${problem}</p>
        <div class="buttons"><button class="primary" aria-disabled=${isBusy}>Log in</button></div>
      </form>
      <p class="faint">A login is made by <code>registrar login create</code>, or by <code>POST /employee</code>.</p>
    </main>`;
}
