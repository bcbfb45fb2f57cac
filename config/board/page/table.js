// A table of any length, of which only the rows near the window are elements.

import { html, useLayoutEffect, useRef, useState } from './html.js';

const BEYOND = 10; // rows above and below what is seen: the keyboard moves to a row before it is seen

// `columns` are [name, class, cell(row)]; `rows` is a Pages, and `version` grows with each change of it; `keyOf(row)`
// and `moodOf(row)` say what a row is; `height` is that of a row in pixels.
export function LongTable({ label, columns, rows, keyOf, moodOf, height, version }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, size: 600 });
  useLayoutEffect(() => {
    const look = () => setView({ top: box.current.scrollTop, size: box.current.clientHeight });
    const watcher = new ResizeObserver(look);
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  const total = rows.total ?? 0;
  const first = Math.max(0, Math.floor(view.top / height) - BEYOND);
  const last = Math.min(total - 1, Math.ceil((view.top + view.size) / height) + BEYOND);
  useLayoutEffect(() => rows.want(first, Math.max(first, last)), [rows, first, last, version]);
  const places = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
  return html`
    <div class="scroller" role="region" tabindex="0" aria-label=${label} ref=${box}
      onScroll=${() => setView({ top: box.current.scrollTop, size: box.current.clientHeight })}>
      <div class="table" role="table" aria-label=${label} aria-rowcount=${total + 1}>
        <div class="row head" role="row" aria-rowindex="1">
          ${columns.map(([name, kind]) => html`<div class=${`head-${kind}`} role="columnheader">${name}</div>`)}
        </div>
        <div class="all" role="rowgroup" style=${{ height: `${total * height}px` }}>
          ${places.map((place) => row(rows.row(place), place, { columns, keyOf, moodOf, height }))}
        </div>
      </div>
    </div>`;
}

function row(value, place, { columns, keyOf, moodOf, height }) {
  const style = { height: `${height}px`, transform: `translateY(${place * height}px)` };
  const cells = value
    ? columns.map(([name, kind, cell]) => html`<div class=${kind} role="cell" data-name=${name}>${cell(value)}</div>`)
    : html`<div role="cell" class="loading">…</div>`;
  return html`<div class="row" role="row" key=${value ? keyOf(value) : `empty ${place}`} style=${style}
    aria-rowindex=${place + 2} data-mood=${value && moodOf(value)}>${cells}</div>`;
}
