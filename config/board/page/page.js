// The board at /: begins here.

import { App } from './app.js';
import { html, render } from './html.js';

render(html`<${App} />`, document.querySelector('#board'));
