// A list of which the server has 100,000 rows and this page a few hundred: what is near the window is loaded in pages.

import { throttled } from './tools.js';

const PAGE_ROWS = 100;
const KEPT_PAGES = 12;
const SCROLL_MS = 80; // who scrolls past a thousand rows asks for none of them
const PATCH_MS = 400;
const RELOAD_MS = 1_000;

// The rows of one list. `load(offset, limit, signal)` resolves to { total, rows }; `status(ids)` to the statuses of
// these phones; `changed()` is called when there is something else to show.
export class Pages {
  total = null;
  problem = '';
  #load;
  #status;
  #changed;
  #pages = new Map(); // number of a page -> { rows, stale }
  #loading = new Map(); // number of a page -> AbortController
  #window = [0, PAGE_ROWS];
  #touched = new Set();
  #fill;
  #patch;
  #reloadLater;

  constructor(load, status, changed) {
    this.#load = load;
    this.#status = status;
    this.#changed = changed;
    this.#fill = throttled(() => this.#ask(), SCROLL_MS);
    this.#patch = throttled(() => this.#refresh(), PATCH_MS);
    this.#reloadLater = throttled(() => this.reload(), RELOAD_MS);
  }

  // The row at this place, or undefined as long as it is not there.
  row(place) {
    return this.#pages.get(Math.floor(place / PAGE_ROWS))?.rows[place % PAGE_ROWS];
  }

  // Have the rows from `first` to `last` ready.
  want(first, last) {
    this.#window = [first, last];
    this.#fill();
  }

  // Load what is shown again: the rows, their order or their number may be others.
  reload() {
    for (const page of this.#pages.values()) page.stale = true;
    this.#abandon(() => true);
    this.#ask();
  }

  // The same, at most once a second.
  reloadSoon() {
    this.#reloadLater();
  }

  // Something happened to a phone: ask for its status if it is shown.
  touch(id) {
    this.#touched.add(id);
    this.#patch();
  }

  end() {
    for (const later of [this.#fill, this.#patch, this.#reloadLater]) later.cancel();
    this.#abandon(() => true);
  }

  #ask() {
    const [from, to] = this.#window.map((place) => Math.floor(Math.max(0, place) / PAGE_ROWS));
    this.#abandon((number) => number < from || number > to);
    for (let number = from; number <= to; number += 1) {
      if (this.#needs(number)) this.#fetch(number);
    }
  }

  #needs(number) {
    if (this.#loading.has(number)) return false;
    if (this.total !== null && number > 0 && number * PAGE_ROWS >= this.total) return false;
    return this.#pages.get(number)?.stale ?? true;
  }

  #abandon(unwanted) {
    for (const [number, abort] of this.#loading) {
      if (unwanted(number)) {
        abort.abort();
        this.#loading.delete(number);
      }
    }
  }

  async #fetch(number) {
    const abort = new AbortController();
    this.#loading.set(number, abort);
    try {
      const { total, rows } = await this.#load(number * PAGE_ROWS, PAGE_ROWS, abort.signal);
      if (!abort.signal.aborted) this.#store(number, total, rows);
    } catch (error) {
      if (abort.signal.aborted) return;
      this.problem = error.message;
      this.#changed();
    } finally {
      if (this.#loading.get(number) === abort) this.#loading.delete(number);
    }
  }

  #store(number, total, rows) {
    this.problem = '';
    this.total = total;
    this.#pages.delete(number); // the newest is the last one
    this.#pages.set(number, { rows, stale: false });
    for (const old of this.#pages.keys()) {
      if (this.#pages.size > KEPT_PAGES || old * PAGE_ROWS >= total) this.#pages.delete(old);
    }
    this.#changed();
    this.#fill();
  }

  // Ask for the statuses of the phones that were touched and are in the window; other pages are asked for when they
  // are shown again.
  async #refresh() {
    const touched = this.#touched;
    this.#touched = new Set();
    const shown = new Map();
    const [first, last] = this.#window;
    for (const [number, page] of this.#pages) {
      page.rows.forEach((row, index) => {
        const place = number * PAGE_ROWS + index;
        if (!touched.has(row._id)) return;
        if (place >= first && place <= last) shown.set(row._id, [page, index]);
        else page.stale = true;
      });
    }
    if (shown.size) await this.#restate(shown);
  }

  async #restate(shown) {
    try {
      for (const status of await this.#status([...shown.keys()])) {
        const [page, index] = shown.get(status._id);
        page.rows[index] = { ...page.rows[index], status };
      }
      this.#changed();
    } catch (error) {
      this.problem = error.message;
      this.reloadSoon();
    }
  }
}
