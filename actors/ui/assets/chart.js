// The readings of the chosen sensor over time, as a line; summed-up readings also as a band.

import { get } from '/api.js';
import { byId, element, setText, showError } from '/dom.js';
import { formatNumber, formatTime, formatValue } from '/format.js';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, MARGIN] = [1000, 300, 14];
const MOST_POINTS = 500;

let sensor = null;
let latestRequest = 0;

export function startChart() {
  byId('chart-span').addEventListener('change', refreshChart);
}

export function chooseSensor(chosen) {
  sensor = chosen;
  setText(byId('chart-title'), `Readings of ${chosen.alias}`);
  byId('chart').replaceChildren();
  setText(byId('chart-note'), 'Loading …');
  byId('chart-title').scrollIntoView({ block: 'nearest' });
  return refreshChart();
}

export async function refreshChart() {
  if (!sensor) {
    return;
  }
  latestRequest += 1;
  const request = latestRequest;
  const span = byId('chart-span').value;
  try {
    const query = new URLSearchParams({ sensor: sensor.id, from: span, limit: MOST_POINTS });
    const series = await get(`/api/readings?${query}`);
    if (request === latestRequest) {
      draw(series);
      showError('chart-error', null);
    }
  } catch (error) {
    if (request === latestRequest) {
      showError('chart-error', new Error(`The readings could not be read: ${error.message}`));
    }
  }
}

/** Readings and buckets alike: a time, a value, the lowest and highest around it, and counts. */
function toPoints(series) {
  if (series.buckets) {
    return series.buckets.map((bucket) => ({
      time: Date.parse(bucket.start),
      value: bucket.mean,
      low: bucket.min,
      high: bucket.max,
      last: bucket.last,
      count: bucket.count,
      bad: bucket.bad,
    }));
  }
  return series.readings.map((reading) => ({
    time: Date.parse(reading.polled_at),
    value: reading.value,
    low: reading.value,
    high: reading.value,
    last: reading.value,
    count: 1,
    bad: reading.value === null ? 1 : 0,
  }));
}

function draw(series) {
  const points = toPoints(series);
  const valued = points.filter((point) => point.value !== null);
  const unit = series.readings?.findLast((reading) => reading.unit)?.unit ?? sensor.unit;
  if (points.length === 0) {
    byId('chart').replaceChildren();
    setText(byId('chart-note'), 'No readings in this span.');
    return;
  }
  const low = Math.min(...valued.map((point) => point.low));
  const high = Math.max(...valued.map((point) => point.high));
  setText(byId('chart-note'), describe(points, valued, low, high, unit, Boolean(series.buckets)));

  const start = Date.parse(series.from);
  const end = Date.parse(series.to);
  const x = (point) => (((point.time - start) / (end - start)) * WIDTH).toFixed(1);
  const y = (value) => {
    const share = high > low ? (value - low) / (high - low) : 0.5;
    return (HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)).toFixed(1);
  };
  const picture = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  for (const run of unbroken(points)) {
    const line = run.map((point) => `${x(point)},${y(point.value)}`);
    if (series.buckets && run.length > 1) {
      const above = run.map((point) => `${x(point)},${y(point.high)}`);
      const below = run.map((point) => `${x(point)},${y(point.low)}`).reverse();
      picture.append(shape('polygon', { points: [...above, ...below].join(' ') }));
    }
    if (run.length > 1) {
      picture.append(shape('polyline', { points: line.join(' ') }));
    } else {
      const [at, height] = [x(run[0]), y(run[0].value)];
      picture.append(shape('line', { class: 'dot', x1: at, x2: at, y1: height, y2: height }));
    }
  }
  for (const point of points.filter((candidate) => candidate.bad > 0)) {
    picture.append(shape('line', { class: 'miss', x1: x(point), x2: x(point), y1: HEIGHT - MARGIN, y2: HEIGHT }));
  }

  const scale = element('div', { className: 'scale' });
  if (valued.length > 0) {
    scale.append(element('span', {}, formatNumber(high)), element('span', {}, formatNumber(low)));
  }
  const times = element(
    'div',
    { className: 'times' },
    element('span', {}, formatTime(series.from)),
    element('span', {}, formatTime(series.to)),
  );
  byId('chart').replaceChildren(element('div', { className: 'plot' }, scale, picture, times));
}

/** The picture in words, for everyone. */
function describe(points, valued, low, high, unit, summedUp) {
  const count = points.reduce((sum, point) => sum + point.count, 0);
  const bad = points.reduce((sum, point) => sum + point.bad, 0);
  const parts = [`${count} readings`];
  if (bad > 0) {
    parts.push(`${bad} of them without a value (red)`);
  }
  if (valued.length > 0) {
    const last = valued[valued.length - 1].last;
    parts.push(`lowest ${formatValue(low, unit)}, highest ${formatValue(high, unit)}, last ${formatValue(last, unit)}`);
  }
  if (summedUp) {
    parts.push(`shown as ${points.length} spans: mean, lowest and highest`);
  }
  return `${parts.join('; ')}.`;
}

/** Runs of points that all have a value. */
function unbroken(points) {
  const runs = [[]];
  for (const point of points) {
    if (point.value === null) {
      runs.push([]);
    } else {
      runs[runs.length - 1].push(point);
    }
  }
  return runs.filter((run) => run.length > 0);
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  return made;
}
