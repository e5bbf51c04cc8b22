// Starts the page and keeps it fresh.

import { get } from './api.js';
import { chooseSensor, refreshChart, startChart } from './chart.js';
import { byId, element, foreign, setText } from './dom.js';
import { marked } from './format.js';
import { refreshLog, startLog } from './log.js';
import { openProof, startProof } from './proof.js';
import { refreshRefusals } from './refusals.js';
import { refreshSensors, startSensors } from './sensors.js';

const REFRESH_MS = 2000;
// A refresh that takes long is followed by a pause of this many times its length.
const IDLE_SHARE = 3;

let paused = false;
let timer = 0;

function showWarnings(warnings) {
  const list = byId('warnings');
  list.hidden = warnings.length === 0;
  // The same warnings again are not told again.
  if (list.textContent !== warnings.join('')) {
    list.replaceChildren(...warnings.map((warning) => element('li', {}, foreign(warning))));
  }
}

async function refreshHeader() {
  const health = byId('health');
  try {
    const state = await get('healthz');
    const sick = state.sensors_stale + state.sensors_down;
    const sensors = sick === 0 ? 'all sensors ok' : `${sick} sensors stale or down`;
    const away = (state.sites_away ?? []).map((site) => site.site);
    const sites = away.length === 0 ? '' : `, no word from ${away.join(', ')}`;
    const warnings = state.warnings ?? [];
    const level = sick + away.length + warnings.length === 0 ? 'good' : 'warn';
    const found = warnings.length === 0 ? 'running' : 'running, but look below';
    setText(health, marked(level, `${found}, ${sensors}${sites}`));
    health.className = level;
    showWarnings(warnings);
  } catch (error) {
    setText(health, marked('bad', error.message.split('\n')[0]));
    health.className = 'bad';
    showWarnings([]);
  }
  try {
    const checkpoint = await get('api/checkpoint');
    setText(byId('log-size'), `${checkpoint.tree_size} entries`);
    setText(byId('checkpoint'), `${checkpoint.origin}, root ${checkpoint.root_hash.slice(0, 12)}…`);
    byId('checkpoint').title = checkpoint.note;
  } catch (error) {
    setText(byId('log-size'), 'unknown');
    setText(byId('checkpoint'), error.message.split('\n')[0]);
  }
}

async function refresh() {
  clearTimeout(timer);
  const started = performance.now();
  if (!document.hidden) {
    await Promise.all([refreshHeader(), refreshSensors(), refreshRefusals(), refreshChart(), refreshLog()]);
  }
  clearTimeout(timer);
  if (!paused) {
    timer = setTimeout(refresh, Math.max(REFRESH_MS, IDLE_SHARE * (performance.now() - started)));
  }
}

byId('pause').addEventListener('click', () => {
  paused = !paused;
  byId('pause').setAttribute('aria-pressed', String(paused));
  setText(byId('pause'), paused ? 'Paused' : 'Pause');
  if (paused) {
    clearTimeout(timer);
  } else {
    refresh();
  }
});

startSensors(chooseSensor);
startChart();
startLog(openProof);
startProof();
refresh();
