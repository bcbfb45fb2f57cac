// "Set up a softphone": a link that opens once, as text and as a picture for the camera.

import { html, useEffect, useRef, useState } from './html.js';
import { SOFTPHONES, timeOf } from './words.js';

const OPEN = 'This phone is open: it is locked to the address from which the link is loaded.';
const ENDED = 'The link has ended. Make a new one.';

export function Softphone({ board, id, account }) {
  const [client, setClient] = useState(Object.keys(SOFTPHONES)[0]);
  const [link, setLink] = useState(null);
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  const make = async (event) => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    try {
      setLink(await board.api.post(`/pbx/sipphone/${id}/provisioning`, { link: client }));
      setProblem('');
    } catch (error) {
      setLink(null);
      setProblem(error.message);
    }
    setBusy(false);
  };
  const choose = (event) => {
    setClient(event.target.value);
    setLink(null);
  };
  return html`
    <section class="card softphone" aria-labelledby="softphone">
      <h2 id="softphone">Set up a softphone</h2>
      ${account.ipMode === 'OPEN' && html`<p class="faint">${OPEN}</p>`}
      <form onSubmit=${make}>
        <label>Softphone <select name="client" value=${client} onChange=${choose}>${Object.entries(SOFTPHONES)
          .map(([name, title]) => html`<option value=${name}>${title}</option>`)}</select></label>
        <div class="buttons"><button class="primary" aria-disabled=${isBusy}>Make a link</button></div>
      </form>
      <p class="problem" role="alert">${problem}</p>
      ${link && html`<${Link} key=${link.url} ...${link} title=${SOFTPHONES[client]} />`}
    </section>`;
}

function Link({ url, expires, hint, warnings, qr, title }) {
  const heading = useRef(null);
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    heading.current.focus();
    const timer = setTimeout(() => setOver(true), Math.max(0, new Date(expires) - Date.now()));
    return () => clearTimeout(timer);
  }, []);
  return html`
    <h3 tabindex="-1" ref=${heading}>Link for ${title}</h3>
    <div role="status">${isOver && html`<p>${ENDED}</p>`}</div>
    ${!isOver && html`
      <p>${hint}</p>
      <p>It opens once, until ${timeOf(expires)}. Send it to no chat that looks at links.</p>
      ${warnings.map((text) => html`<p class="warning">${text}</p>`)}
      ${qr && html`<${Code} svg=${qr} title=${`the link for ${title}`} />`}
      <${Copied} url=${url} />`}`;
}

// The picture, drawn from its numbers alone: nothing of the answer becomes markup.
export function Code({ svg, title }) {
  const [, size] = /viewBox="([\d ]+)"/.exec(svg);
  const [, modules] = /stroke="#000" d="([\w. -]+)"/.exec(svg);
  return html`
    <svg class="code" viewBox=${size} role="img" aria-label=${`Code for ${title}`}>
      <rect width="100%" height="100%" fill="#fff" /><path stroke="#000" d=${modules} />
    </svg>`;
}

function Copied({ url }) {
  const field = useRef(null);
  const [said, setSaid] = useState('');
  const copy = async () => {
    field.current.select();
    try {
      await navigator.clipboard.writeText(url);
      setSaid('The link is copied.');
    } catch { // not over plain HTTP, or not allowed
      setSaid('The link is selected: copy it.');
    }
  };
  return html`
    <label>Link <input class="link" name="link" readonly value=${url} ref=${field} /></label>
    <div class="buttons"><button type="button" onClick=${copy}>Copy the link</button></div>
    <p class="done" role="status">${said}</p>`;
}
