// Server-sent events, read from a fetch: an EventSource could not send the token in a header.

// Yields { id, event, data } for each block of a body, and null for each comment; a block may be an id alone.
export async function* eventsOf(body) {
  let entry = {};
  for await (const line of linesOf(body)) {
    if (line === '') {
      if (entry.data ?? entry.id) yield entry;
      entry = {};
    } else if (line.startsWith(':')) {
      yield null;
    } else {
      addField(entry, line);
    }
  }
}

function addField(entry, line) {
  const colon = line.indexOf(':');
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  entry[name] = name === 'data' && entry.data !== undefined ? `${entry.data}\n${value}` : value;
}

async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) yield line.replace(/\r$/, '');
  }
}
