// Draws each dashboard to a picture: node look.mjs DASHBOARDS PROMETHEUS OUT [DEVICE]. It serves the page and Prometheus
// from one loopback address, and ends both.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const [dashboards, prometheus, out, device = ''] = process.argv.slice(2);
const loaders = Object.fromEntries(['.svg', '.png', '.woff2', '.ttf'].map((type) => [type, 'dataurl']));
await build({
  entryPoints: ['app.tsx'], bundle: true, outfile: 'out/app.js', format: 'iife', platform: 'browser', jsx: 'automatic', loader: loaders, logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' }, alias: { 'react-router-dom-v5-compat': 'react-router-dom' },
});
const page = `<!doctype html><meta charset=utf-8>${fs.existsSync('out/app.css') ? '<link rel=stylesheet href=/out/app.css>' : ''}<body style="margin:0;font-family:sans-serif;background:#111"><div id=root></div>
<script>window.grafanaBootData={settings:{featureToggles:{},buildInfo:{},bootData:{}},user:{},navTree:[]};window.__grafana_public_path__='/';</script><script src=/out/app.js></script>`;

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  if (url.pathname.startsWith('/api/')) {
    const answer = await fetch(prometheus + request.url);
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  } else if (url.pathname === '/') {
    response.writeHead(200, { 'content-type': 'text/html' }).end(page);
  } else {
    const file = url.pathname.startsWith('/dashboards/') ? path.join(dashboards, path.basename(url.pathname)) : `.${url.pathname}`;
    fs.readFile(file, (error, bytes) => (error ? response.writeHead(404).end() : response.writeHead(200).end(bytes)));
  }
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const address = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});
let faults = 0;
for (const file of fs.readdirSync(dashboards).filter((name) => name.endsWith('.json'))) {
  const name = path.basename(file, '.json');
  const tab = await browser.newPage({ viewport: { width: 1632, height: 900 } });
  await tab.goto(`${address}/?dashboard=${name}&device=${encodeURIComponent(device)}`);
  await tab.waitForFunction(() => {
    const panels = [...document.querySelectorAll('[data-panel]')];
    return panels.length > 0 && panels.every((panel) => panel.dataset.state !== 'loading');
  });
  await tab.waitForLoadState('networkidle');
  const states = await tab.$$eval('[data-panel]', (panels) => panels.map(({ dataset }) => [dataset.panel, dataset.state]));
  const bad = states.filter(([, state]) => state !== 'ok');
  console.log(`${name}: ${states.length} panels${bad.length ? `, ${bad.map(([title, state]) => `${title}: ${state}`).join(', ')}` : ''}`);
  faults += bad.filter(([, state]) => state === 'error').length;
  await tab.screenshot({ path: path.join(out, `${name}.png`), fullPage: true });
  await tab.close();
}
await browser.close();
server.close();
process.exit(faults === 0 ? 0 : 1);
