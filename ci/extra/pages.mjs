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
    const sideways = async (how) => {
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) said.push(`scrolls sideways by ${wide} pixels${how}`);
    };
    await sideways('');
    if (shots) {
      await page.screenshot({ path: path.join(shots, `${name}-${mode}.png`), fullPage: true });
    }
    said.push(...(await cursor(page, mode.startsWith('phone') ? 'n' : 'w')));
    await page.evaluate(() => document.querySelectorAll('details').forEach((own) => (own.open = true)));
    await sideways(' with its data open');
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

// The cursor reads a chart by its arrow keys, and it zooms by keys and by dragging.
async function cursor(page, layout) {
  // What has no table over time is zoomed alone.
  const read = await page.$(`figure[data-run]:has(table.series) svg.${layout}[data-x]`);
  const chart = read ?? (await page.$(`figure[data-run] svg.${layout}[data-x]`));
  if (!chart) return [];
  const said = [];
  await page.evaluate((own) => own.focus(), chart);
  await page.keyboard.press('ArrowRight');
  const text = await page.evaluate((own) => own.closest('figure').querySelector('.read').textContent, chart);
  if (read && !/\d/.test(text)) said.push(`the cursor reads nothing: ${text}`);
  const zoomed = (wanted, how) =>
    page
      .evaluate((own) => own.querySelectorAll('g.z[transform]').length > 0, chart)
      .then((is) => is === wanted || said.push(`${how}: it is ${is ? '' : 'not '}zoomed`));
  await page.keyboard.press('+');
  await zoomed(true, 'after +');
  await page.keyboard.press('Escape');
  await zoomed(false, 'after Escape');
  await page.evaluate((own) => own.scrollIntoView({ block: 'center' }), chart);
  const box = await chart.boundingBox();
  const [y, at] = [box.y + box.height / 2, (share) => box.x + box.width * share];
  await page.mouse.move(at(0.4), y);
  await page.mouse.down();
  await page.mouse.move(at(0.6), y, { steps: 4 });
  await page.mouse.up();
  await zoomed(true, 'after dragging');
  await page.mouse.click(at(0.5), y, { count: 2 });
  await zoomed(false, 'after a double click');
  return said;
}
