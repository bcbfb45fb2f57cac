// Small tools: work that waits a moment, and what a view has loaded.

import { useEffect, useRef, useState } from './html.js';

// A function that runs `work` at most once in `ms`, at least `least` after a call, and for the last time after the last
// call.
export function throttled(work, ms, least = 0) {
  let timer = null;
  let last = -Infinity;
  const run = () => {
    timer = null;
    last = performance.now();
    work();
  };
  const call = () => {
    timer ??= setTimeout(run, Math.max(least, last + ms - performance.now()));
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}

// A function that runs `work` when it was not called for `ms`.
export function settled(work, ms) {
  let timer = null;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), ms);
  };
}

// What `load(signal)` resolves to: { value, problem, reload }. It is loaded again when `deps` change; meanwhile, and
// after a failure, the value before stays.
export function useLoaded(load, deps) {
  const [result, setResult] = useState({ value: null, problem: '' });
  const current = useRef(null);
  const reload = async () => {
    current.current?.abort();
    const abort = new AbortController();
    current.current = abort;
    try {
      const value = await load(abort.signal);
      if (!abort.signal.aborted) setResult({ value, problem: '' });
    } catch (error) {
      if (!abort.signal.aborted) setResult((before) => ({ value: before.value, problem: error.message }));
    }
  };
  useEffect(() => {
    reload();
    return () => current.current?.abort();
  }, deps);
  return { ...result, reload };
}

// Call `work` when events for which `concerns` holds arrive, or were missed; at most once in `ms`, `least` after an
// event.
export function useNews(feed, concerns, work, ms, least = 0) {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    const later = throttled(() => latest.current(), ms, least);
    const end = feed.watch(({ event, missed }) => {
      if (missed || (event && concerns(event))) later();
    });
    return () => {
      later.cancel();
      end();
    };
  }, [feed]);
}

// The size of the window class of the page: whether a media query holds.
export function useMedia(query) {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const changed = () => setHolds(list.matches);
    list.addEventListener('change', changed);
    return () => list.removeEventListener('change', changed);
  }, [query]);
  return holds;
}
