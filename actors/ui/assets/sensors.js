// The table of sensors.

import { get, serverNow } from './api.js';
import { byId, element, foreign, setRows, setText, showError } from './dom.js';
import { formatAge, formatName, formatTime, formatValue, marked, qualityClass } from './format.js';

const PAGE = 1000;
const MOST_SENSORS = 10_000;
// More rows than this slow a browser down and help nobody; the filter narrows them.
const MOST_ROWS = 500;
// A reading that was measured so long before or after it was received shows when.
const STRANGE_MS = 60_000;
const LIVENESS = { ok: ['good', 'ok'], stale: ['warn', 'stale'], down: ['bad', 'down'] };
const LIVENESS_ORDER = { down: 0, stale: 1, ok: 2 };

const rows = new Map();
let sensors = [];
let sort = { key: 'alias', ascending: true };
let chosen = null;
let onChoose = () => {};

export function startSensors(whenChosen) {
  onChoose = whenChosen;
  byId('sensor-filter').addEventListener('input', render);
  for (const heading of document.querySelectorAll('th[data-sort]')) {
    heading.firstElementChild.addEventListener('click', () => {
      const key = heading.dataset.sort;
      sort = { key, ascending: sort.key === key ? !sort.ascending : true };
      render();
    });
  }
}

export async function refreshSensors() {
  try {
    const all = [];
    let offset = 0;
    while (offset !== undefined && all.length < MOST_SENSORS) {
      const page = await get(`api/sensors?offset=${offset}&limit=${PAGE}`);
      all.push(...page.sensors);
      offset = page.next_offset;
    }
    sensors = all;
    showError('sensors-error', null);
  } catch (error) {
    showError('sensors-error', new Error(`The sensors could not be read: ${error.message}`));
  }
  render();
}

/** Since the log received it: a device's own time may be wrong. */
function ageOf(sensor) {
  return sensor.latest ? serverNow() - Date.parse(sensor.latest.received_at) : null;
}

function nameOf(sensor) {
  return formatName(sensor.alias, sensor.id);
}

/** The device's own time of its newest reading, where it is far from when the log received that. */
function strangeTime(latest) {
  const times = [latest?.device_at, latest?.polled_at].filter(Boolean);
  const strange = times.find((time) => Math.abs(Date.parse(time) - Date.parse(latest.received_at)) > STRANGE_MS);
  return strange ? `measured ${formatTime(strange)}` : '';
}

const SORT_KEYS = {
  alias: nameOf,
  location: (sensor) => sensor.location,
  value: (sensor) => sensor.latest?.value ?? null, // a double is enough to sort by
  quality: (sensor) => sensor.latest?.quality ?? null,
  liveness: (sensor) => LIVENESS_ORDER[sensor.liveness] ?? null,
  age: ageOf,
};

/** Sensors without the value sorted by come last, whichever way it goes. */
function compare(one, other) {
  const [a, b] = [SORT_KEYS[sort.key](one), SORT_KEYS[sort.key](other)];
  if (a === null || b === null) {
    return (a === null) - (b === null);
  }
  const order = typeof a === 'number' ? a - b : a.localeCompare(b, undefined, { numeric: true });
  return (sort.ascending ? order : -order) || one.id.localeCompare(other.id);
}

function matches(sensor, words) {
  const { alias, site, location, id, liveness, condition, latest } = sensor;
  const text = [alias, site, location, id, liveness, condition ?? '', latest?.quality ?? '']
    .join('\n')
    .toLowerCase();
  return words.every((word) => text.includes(word));
}

function render() {
  for (const heading of document.querySelectorAll('th[data-sort]')) {
    if (heading.dataset.sort === sort.key) {
      heading.setAttribute('aria-sort', sort.ascending ? 'ascending' : 'descending');
    } else {
      heading.removeAttribute('aria-sort');
    }
  }
  const words = byId('sensor-filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = sensors.filter((sensor) => matches(sensor, words)).sort(compare);
  const shown = found.slice(0, MOST_ROWS);
  setRows(byId('sensor-rows'), shown.map(updatedRow));
  forgetRowsOfOthers();
  setText(byId('sensor-note'), summary(found.length, shown.length));
}

function summary(found, shown) {
  if (sensors.length === 0) {
    return 'No sensor has sent a heartbeat yet.';
  }
  const of = found === sensors.length ? `${found} sensors` : `${found} of ${sensors.length} sensors`;
  return shown < found ? `${of}, the first ${shown} shown: filter to narrow them.` : of;
}

function forgetRowsOfOthers() {
  const ids = new Set(sensors.map((sensor) => sensor.id));
  for (const id of rows.keys()) {
    if (!ids.has(id)) {
      rows.delete(id);
    }
  }
}

function updatedRow(sensor) {
  let row = rows.get(sensor.id);
  if (!row) {
    row = makeRow(sensor.id);
    rows.set(sensor.id, row);
  }
  const { cells } = row;
  setText(cells.alias, nameOf(sensor));
  setText(cells.location, sensor.location);
  const age = ageOf(sensor);
  const ageText = age === null ? 'never' : formatAge(age);
  setText(cells.under, `${sensor.location} · ${ageText}`);
  const strange = strangeTime(sensor.latest);
  setText(cells.age, strange ? `${ageText} (${strange})` : ageText);
  setText(cells.value, formatValue(sensor.latest?.digits, sensor.latest?.unit || sensor.unit));
  const quality = sensor.latest?.quality;
  setLevel(cells.quality, quality ? qualityClass(quality) : 'warn', quality ?? 'no reading yet');
  const [level, state] = LIVENESS[sensor.liveness] ?? ['warn', sensor.liveness];
  const remarks = sensor.remarks ?? [];
  setLevel(cells.liveness, level, remarks.length === 0 ? state : `${state}, ${remarks.length} remarked`);
  cells.liveness.title = remarks.join('\n');
  setText(cells.condition, sensor.condition ? marked('warn', sensor.condition) : '');
  row.line.classList.toggle('chosen', sensor.id === chosen);
  cells.button.setAttribute('aria-pressed', String(sensor.id === chosen));
  row.sensor = sensor;
  return row.line;
}

function setLevel(target, level, text) {
  setText(target, marked(level, text));
  target.className = level;
}

function makeRow(id) {
  const cells = {
    alias: foreign(''),
    under: element('bdi', { className: 'under' }),
    location: foreign(''),
    value: element('td', { className: 'number' }),
    quality: element('span'),
    liveness: element('span'),
    condition: element('bdi', { className: 'condition warn' }),
    age: element('td', { className: 'number wide' }),
  };
  cells.button = element('button', { type: 'button', className: 'link' }, cells.alias);
  const line = element(
    'tr',
    {},
    element('td', { className: 'words' }, cells.button, cells.under),
    element('td', { className: 'words wide' }, cells.location),
    cells.value,
    element('td', { className: 'words' }, cells.quality, cells.condition),
    element('td', { className: 'whole' }, cells.liveness),
    cells.age,
  );
  cells.button.addEventListener('click', () => {
    chosen = id;
    render();
    onChoose(rows.get(id).sensor);
  });
  return { line, cells };
}
