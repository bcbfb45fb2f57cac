// placeholder until the history is there
import { html } from './html.js';
export const History = () => html`<h1>Call history</h1>`;
