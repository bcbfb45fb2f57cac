// What the views are written with: preact without a compiler.

import { h } from 'preact';
import htm from 'htm';

export { render } from 'preact';
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

// A template becomes elements; a value in it becomes text, never markup.
export const html = htm.bind(h);
