// Opens each page in Chromium, as `ci/extra/pages` says.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import puppeteer from 'puppeteer-core';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
let shots = null;
let pages = process.argv.slice(2);
if (pages[0] === '--shots') [, shots, ...pages] = pages;

const MODES = [
  ['light', { width: 1280, height: 900 }, 'light'],
  ['dark', { width: 1280, height: 900 }, 'dark'],
  ['phone', { width: 390, height: 844 }, 'light'],
  ['phone-dark', { width: 390, height: 844 }, 'dark'],
];
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'],
});
let faults = 0;
for (const file of pages) {
  const name = path.basename(file, '.html');
  for (const [mode, viewport, scheme] of MODES) {
    const page = await browser.newPage();
    const said = [];
    page.on('console', (message) => {
      if (['error', 'warn', 'warning'].includes(message.type())) said.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => said.push(`error: ${error.message}`));
    const url = pathToFileURL(path.resolve(file)).href;
    page.on('request', (request) => {
      if (request.url() !== url) said.push(`request: ${request.url()}`);
    });
    await page.setViewport(viewport);
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(url);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) said.push(`scrolls sideways by ${wide} pixels`);
    if (shots) {
      await page.screenshot({ path: path.join(shots, `${name}-${mode}.png`), fullPage: true });
    }
    if (mode === 'light') said.push(...(await cursor(page)));
    await page.evaluate(() => document.querySelectorAll('details').forEach((own) => (own.open = true)));
    // The policy of the page forbids scripts that are not its own, also this one: it comes by the debugger.
    await page.setBypassCSP(true);
    await page.reload();
    await page.addScriptTag({ path: axe });
    const { violations } = await page.evaluate(() => window.axe.run());
    for (const { id, impact, nodes } of violations) {
      said.push(`axe: ${impact} ${id}: ${nodes.length} × ${nodes[0].html.slice(0, 160)}`);
    }
    faults += said.length;
    console.log(`${name} ${mode}: ${said.length ? said.join('\n  ') : 'nothing found'}`);
    if (mode === 'light' && shots) {
      await page.pdf({ path: path.join(shots, `${name}.pdf`), format: 'A4', printBackground: true });
    }
    await page.close();
  }
}
await browser.close();
process.exit(faults ? 1 : 0);

// The cursor reads a chart by its arrow keys.
async function cursor(page) {
  const chart = await page.$('figure[data-run] svg.w[data-x]');
  if (!chart) return [];
  await page.evaluate((own) => own.focus(), chart);
  await page.keyboard.press('ArrowRight');
  const read = await page.$eval('figure[data-run] .read', (own) => own.textContent);
  return /\d/.test(read) ? [] : [`the cursor reads nothing: ${read}`];
}
