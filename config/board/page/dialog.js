// A question before something is done that others notice.

import { html, useLayoutEffect, useRef, useState } from './html.js';

// A button that asks `question` first. `act()` may reject: the dialog stays and says why.
export function Asking({ label, kind = '', question, detail = '', act }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <button type="button" class=${kind} onClick=${() => setOpen(true)}>${label}</button>
    ${isOpen && html`<${Question} ...${{ label, kind, question, detail, act }} close=${() => setOpen(false)} />`}`;
}

function Question({ label, kind, question, detail, act, close }) {
  const box = useRef(null);
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  useLayoutEffect(() => box.current.showModal(), []);
  const doIt = async () => {
    if (isBusy) return;
    setBusy(true);
    try {
      await act();
      box.current?.close();
    } catch (error) {
      setProblem(error.message);
      setBusy(false);
    }
  };
  return html`
    <dialog ref=${box} onClose=${close} aria-labelledby="question">
      <h2 id="question">${question}</h2>
      ${detail && html`<p>${detail}</p>`}
      <p class="problem" role="alert">${problem}</p>
      <div class="buttons">
        <button type="button" class=${kind || 'primary'} aria-disabled=${isBusy} onClick=${doIt}>${label}</button>
        <button type="button" onClick=${() => box.current.close()}>Cancel</button>
      </div>
    </dialog>`;
}
