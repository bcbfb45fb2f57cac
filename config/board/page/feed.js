// What happens, as it happens: reads /events, and connects again where it stopped.

import { eventsOf } from './stream.js';

const SILENT_MS = 40_000; // a comment comes each 15 s
const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
const REFUSED_MS = 30_000; // by a server that has no events, or not for this login

// The events that the login may see. `watch` gets { event } for each of them, { missed: true } when some may have been
// missed, and { state } when the connection changes: connecting, live, lost, polling, crowded or closed.
export class Feed {
  state = { name: 'connecting', since: Date.now(), retryAt: null };
  #api;
  #query;
  #watchers = new Set();
  #lastId = '';
  #failures = 0;
  #abort = null;
  #wake = null;
  #closed = false;

  constructor(api, query) {
    this.#api = api;
    this.#query = query;
  }

  start() {
    addEventListener('online', this.retry);
    this.#run();
  }

  stop() {
    this.#closed = true;
    removeEventListener('online', this.retry);
    this.#abort?.abort();
    this.retry();
  }

  // Tell `told` from now on. Returns how to end it.
  watch(told) {
    this.#watchers.add(told);
    return () => this.#watchers.delete(told);
  }

  // Do not wait for the next attempt.
  retry = () => this.#wake?.();

  async #run() {
    while (!this.#closed) {
      const pause = await this.#connect();
      if (this.#closed) break;
      if (pause) await this.#wait(pause);
    }
    this.#change('closed');
  }

  // Read until the connection ends. Returns how long to wait before the next one.
  async #connect() {
    this.#abort = new AbortController();
    const guard = new Guard(() => this.#abort.abort());
    try {
      const answer = await this.#api.stream('/events', this.#query, this.#resume(), this.#abort.signal);
      const pause = this.#judge(answer);
      if (pause !== null) return pause;
      await this.#read(answer.body, guard);
    } catch {
      // The connection failed, or was silent for too long: the state says so.
    } finally {
      guard.end();
    }
    return this.#lost();
  }

  #resume() {
    return this.#lastId ? { 'Last-Event-ID': this.#lastId } : {};
  }

  // How long to wait after this answer; null if it is a stream.
  #judge(answer) {
    if (answer.ok) return null;
    if (answer.status === 401) {
      this.#closed = true;
      this.#api.ended();
      return 0;
    }
    if (answer.status === 410) { // the events after the last one are gone from the server
      this.#lastId = '';
      return 1;
    }
    if (answer.status >= 500) return this.#lost();
    return this.#poll(answer.status === 429 ? 'crowded' : 'polling');
  }

  async #read(body, guard) {
    const isResumed = this.#lastId !== '';
    this.#change('live');
    if (!isResumed) this.#tell({ missed: true });
    for await (const entry of eventsOf(body)) {
      guard.heard();
      this.#failures = 0;
      if (entry?.id) this.#lastId = entry.id;
      if (entry?.data) this.#tell({ event: JSON.parse(entry.data) });
    }
  }

  #lost() {
    const pause = PAUSES_MS[Math.min(this.#failures, PAUSES_MS.length - 1)];
    this.#failures += 1;
    this.#change('lost', Date.now() + pause);
    return pause;
  }

  #poll(name) {
    this.#change(name);
    this.#tell({ missed: true });
    return REFUSED_MS;
  }

  #wait(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #change(name, retryAt = null) {
    const since = name === this.state.name ? this.state.since : Date.now();
    this.state = { name, since, retryAt };
    this.#tell({ state: this.state });
  }

  #tell(news) {
    for (const told of this.#watchers) told(news);
  }
}

// Ends a connection over which nothing was heard for a while.
class Guard {
  #end;
  #timer;

  constructor(end) {
    this.#end = end;
    this.heard();
  }

  heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#end, SILENT_MS);
  }

  end() {
    clearTimeout(this.#timer);
  }
}
