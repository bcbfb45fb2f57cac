// Drives one Chromium: reads a JSON command a line on standard input, answers each with one JSON line.
//
//   {"do": "launch", "executable": "/usr/bin/chromium", "arguments": ["--flag"]}
//   {"do": "open", "url": "http://..."}     {"do": "reload"}      {"do": "text"}      {"do": "state"}
//   {"do": "press", "selector": "#button"}  {"do": "fill", "selector": "input", "value": "text"}
//   {"do": "screenshot", "path": "x.png", "width": 360, "height": 740, "dark": true}
//   {"do": "close_tab"}  {"do": "close"}
//
// The answer is {"value": ...} or {"error": "one line"}. The end of standard input closes the browser.
'use strict';

const readline = require('node:readline');

const { chromium } = require('playwright-core');

const STEP_MS = 10_000;

let browser = null;
let context = null;
let tab = null;
let problems = [];

const commands = {
  async launch({ executable, arguments: flags }) {
    browser = await chromium.launch({ executablePath: executable, args: flags, chromiumSandbox: false, timeout: 2 * STEP_MS });
    context = await browser.newContext({ ignoreHTTPSErrors: flags.includes('--ignore-certificate-errors') });
    context.setDefaultTimeout(STEP_MS);
    return browser.version();
  },

  async open({ url }) {
    await close_tab();
    problems = [];
    tab = await context.newPage();
    tab.on('pageerror', (error) => problems.push(`error: ${error.message}`));
    tab.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(`${message.type()}: ${message.text()}`);
    });
    const answer = await tab.goto(url, { waitUntil: 'load' });
    return answer ? answer.status() : 0;
  },

  async reload() {
    await tab.reload({ waitUntil: 'load' });
  },

  text: () => tab.innerText('body'),

  state: () => tab.evaluate(() => ({ ...document.body.dataset })),

  problems: () => problems,

  async press({ selector }) {
    await tab.click(selector);
  },

  async fill({ selector, value }) {
    await tab.fill(selector, value);
  },

  async screenshot({ path, width, height, dark }) {
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

async function close_tab() {
  await tab?.close();
  tab = null;
}

async function answer(line) {
  try {
    const { do: name, ...rest } = JSON.parse(line);
    if (name !== 'launch' && browser === null) throw new Error('no browser was launched');
    return { value: (await commands[name](rest)) ?? null };
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
