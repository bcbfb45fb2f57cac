// Drives one Chromium: reads a JSON command a line on standard input, answers each with one JSON line.
//
//   {"do": "launch", "executable": "/usr/bin/chromium", "arguments": ["--flag"]}
//   {"do": "open", "url": "http://...", "script": "run first in the page", "files": {"/path": {...}},
//    "permissions": ["microphone"]}
//   {"do": "reload"}     {"do": "text"}     {"do": "state"}    {"do": "problems"}    {"do": "dialogs"}
//   {"do": "press", "selector": "#button"}  {"do": "fill", "selector": "input", "value": "text"}
//   {"do": "key", "selector": "input", "key": "Enter"}
//   {"do": "evaluate", "expression": "window.something()"}     a promise is waited for
//   {"do": "screenshot", "path": "x.png", "width": 360, "height": 740, "dark": true}
//   {"do": "close_tab"}  {"do": "close"}
//
// A command may name a tab: {"tab": "second"}; without a name it is about the first one. `files` are what the tab gets
// instead of any server: {"/path": {"contentType": "text/html", "headers": {...}, "body": "..."}}; 404 for the rest.
// The answer is {"value": ...} or {"error": "one line"}. The end of standard input closes the browser.
'use strict';

const readline = require('node:readline');

const { chromium } = require('playwright-core');

const STEP_MS = 10_000;

let browser = null;
let context = null;
const tabs = new Map();
const problems = new Map();
const dialogs = new Map();

const page = (name) => {
  if (!tabs.has(name)) throw new Error('no page is open');
  return tabs.get(name);
};

const commands = {
  async launch({ executable, arguments: flags }) {
    browser = await chromium.launch({ executablePath: executable, args: flags, chromiumSandbox: false, timeout: 2 * STEP_MS });
    context = await browser.newContext({ ignoreHTTPSErrors: flags.includes('--ignore-certificate-errors') });
    context.setDefaultTimeout(STEP_MS);
    return browser.version();
  },

  async open({ tab: name, url, script, files, permissions }) {
    await close_tab({ tab: name });
    const tab = await context.newPage();
    tabs.set(name, tab);
    const found = [];
    problems.set(name, found);
    tab.on('pageerror', (error) => found.push(`error: ${error.message}`));
    tab.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) found.push(`${message.type()}: ${message.text()}`);
    });
    const asked = [];
    dialogs.set(name, asked);
    tab.on('dialog', async (dialog) => { // the answers are those that it would get from nobody
      asked.push(dialog.type());
      await (dialog.type() === 'beforeunload' ? dialog.accept() : dialog.dismiss());
    });
    if (script) await tab.addInitScript({ content: script });
    if (files) await give(tab, files);
    if (permissions) await context.grantPermissions(permissions, { origin: new URL(url).origin });
    const answer = await tab.goto(url, { waitUntil: 'load' });
    return answer ? answer.status() : 0;
  },

  async reload({ tab }) {
    await page(tab).reload({ waitUntil: 'load' });
  },

  text: ({ tab }) => read(tab, () => document.body.innerText),

  state: ({ tab }) => read(tab, () => ({ ...document.body.dataset })),

  problems: ({ tab }) => problems.get(tab) ?? [],

  dialogs: ({ tab }) => dialogs.get(tab) ?? [],

  async press({ tab, selector }) {
    await page(tab).bringToFront(); // one behind another is painted once a second, and a click waits for that
    await page(tab).click(selector);
  },

  async fill({ tab, selector, value }) {
    await page(tab).fill(selector, value);
  },

  async key({ tab, selector, key }) {
    await page(tab).press(selector, key);
  },

  evaluate: ({ tab, expression }) => page(tab).evaluate(expression),

  async screenshot({ tab: name, path, width, height, dark }) {
    const tab = page(name);
    await tab.bringToFront();
    await tab.setViewportSize({ width, height });
    await tab.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
    await tab.screenshot({ path, fullPage: true });
    return tab.evaluate(() => document.documentElement.scrollWidth);
  },

  close_tab,

  async close() {
    await browser?.close();
  },
};

// What a page shows; one that goes to its next address at this moment is read when it is there.
async function read(name, look) {
  for (;;) {
    await page(name).waitForLoadState('load');
    try {
      return await page(name).evaluate(look);
    } catch (error) {
      if (!error.message.includes('Execution context was destroyed')) throw error;
    }
  }
}

async function give(tab, files) {
  await tab.route('**/*', (route) => route.fulfill(files[new URL(route.request().url()).pathname] ?? { status: 404 }));
}

async function close_tab({ tab: name }) {
  await tabs.get(name)?.close();
  tabs.delete(name);
}

async function answer(line) {
  try {
    const { do: name, tab = '', ...rest } = JSON.parse(line);
    if (name !== 'launch' && browser === null) throw new Error('no browser was launched');
    return { value: (await commands[name]({ tab, ...rest })) ?? null };
  } catch (error) {
    return { error: String(error.message).split('\n')[0] };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
  }
  await browser?.close();
}

main();
