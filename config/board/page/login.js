// Who is there: the form to log in.

import { logIn } from './api.js';
import { html, useState } from './html.js';
import { sessionOf } from './session.js';

// `entered(session)` is called with the new login; `said` is why one has to log in again.
export function Login({ entered, said, email }) {
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  const submitted = async (event) => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    const { username, password, persist } = event.target.elements;
    try {
      const answer = await logIn(username.value, password.value, persist.checked);
      entered(sessionOf(answer, username.value));
    } catch (error) {
      setProblem(error.status === 401 ? 'The e-mail address or the password is wrong.' : error.message);
      setBusy(false);
    }
  };
  return html`
    <main class="login">
      <h1>Log in</h1>
      ${said && html`<p role="status">${said}</p>`}
      <form class="card" onSubmit=${submitted}>
        <label>E-mail address <input name="username" type="email" required autocomplete="username"
          defaultValue=${email} /></label>
        <label>Password <input name="password" type="password" required autocomplete="current-password" /></label>
        <label class="check"><input name="persist" type="checkbox" /> Stay logged in until this tab is closed;
          otherwise for 15 minutes</label>
        <p class="problem" role="alert">${problem}</p>
        <div class="buttons"><button class="primary" aria-disabled=${isBusy}>Log in</button></div>
      </form>
      <p class="faint">A login is made by <code>registrar login create</code>, or by <code>POST /employee</code>.</p>
    </main>`;
}
