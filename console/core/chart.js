import { clock } from './format.js';
import { el } from './ui.js';

// Plots (Chart.js, the one library here) in the colours of the page. Values are read off by pointing; the text beside a plot says what
// matters, since a canvas can neither be read aloud nor searched.

const { Chart } = window;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const STEPS_MS = [5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800].map((s) => s * 1000);

// Seconds at which people read durations off.
export const DURATION_STEPS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, ...STEPS_MS.map((ms) => ms / 1000)].concat([1, 2]).sort((a, b) => a - b);

const VALUE_TICKS_MAX = 5;

function valueTicks(scale, steps) {
  const step = steps.find((candidate) => scale.max / candidate <= VALUE_TICKS_MAX) ?? steps.at(-1);
  scale.ticks = [];
  for (let at = 0; at <= scale.max && scale.ticks.length < 10; at += step) scale.ticks.push({ value: at });
}

// "25m", not "25m 00s", where there are only full minutes.
const brief = (text) => text.replace(/ 00[smh]$/, '').replace(/\.0(\/s| s)$/, '$1');

// Ticks at full minutes and hours of the local time, about six of them.
function timeTicks(scale) {
  const span = scale.max - scale.min;
  const step = STEPS_MS.find((candidate) => span / candidate <= Math.max(2, scale.width / 90)) ?? STEPS_MS.at(-1);
  const zone = new Date(scale.min).getTimezoneOffset() * 60_000;
  const ticks = [];
  for (let at = Math.ceil((scale.min - zone) / step) * step + zone; at <= scale.max; at += step) ticks.push({ value: at });
  scale.ticks = ticks;
}

// Vertical lines with a word: a seek, a rebalance. `marks`: [{ time, text }]
const marksPlugin = {
  id: 'marks',
  afterDatasetsDraw(chart, _, options) {
    const { ctx, chartArea, scales } = chart;
    ctx.save();
    for (const mark of options.marks ?? []) {
      if (mark.time < scales.x.min || mark.time > scales.x.max) continue;
      const x = scales.x.getPixelForValue(mark.time);
      ctx.strokeStyle = colour('muted');
      ctx.fillStyle = colour('muted');
      ctx.setLineDash([2, 3]);
      ctx.beginPath();
      ctx.moveTo(x, chartArea.top);
      ctx.lineTo(x, chartArea.bottom);
      ctx.stroke();
      ctx.font = '11px system-ui, sans-serif';
      ctx.textAlign = x > (chartArea.left + chartArea.right) / 2 ? 'right' : 'left';
      ctx.fillText(mark.text, x + (ctx.textAlign === 'left' ? 4 : -4), chartArea.top + 10);
    }
    ctx.restore();
  },
};

function base(format, steps) {
  const line = colour('line');
  const text = colour('muted');
  return {
    animation: false, parsing: false, normalized: true, responsive: true, maintainAspectRatio: false,
    interaction: { mode: 'index', intersect: false },
    scales: {
      x: {
        type: 'linear', grid: { color: line, drawTicks: false, borderColor: line }, afterBuildTicks: timeTicks,
        ticks: { color: text, maxRotation: 0, autoSkip: false, padding: 6, callback: (value, _, ticks) => clock(value, ticks.length > 1 && ticks[1].value - ticks[0].value < 60_000) },
      },
      y: {
        beginAtZero: true, grace: '8%', afterBuildTicks: steps ? (scale) => valueTicks(scale, steps) : undefined, grid: { color: line, drawTicks: false, borderColor: line },
        ticks: { color: text, maxTicksLimit: 5, padding: 8, callback: (value) => brief(format(value)) },
      },
    },
    plugins: {
      legend: { display: false },
      tooltip: {
        callbacks: {
          title: (items) => (items.length > 0 ? clock(items[0].parsed.x) : ''),
          label: (item) => `${item.dataset.label}: ${format(item.parsed.y)}`,
        },
      },
      marks: { marks: [] },
    },
  };
}

// A plot over time.
//
// options: label, format(value), steps (distances of ticks to choose from; by default round numbers), stacked, floor (least top of the y
// axis), series: [{ name, label, colour, dashed, filled }]
// update(points, { from, to, marks }): points [{ x, NAME: value or null }], oldest first; a null breaks the line.
export class TimeChart {
  constructor(view, options) {
    this.options = options;
    this.canvas = el('canvas', { role: 'img', 'aria-label': options.label });
    this.legend = el('div', { class: 'legend' }, options.series.map((series) =>
      el('span', { class: series.dashed ? 'dashed' : null, 'data-colour': series.colour }, series.label)));
    this.element = el('figure', { class: 'plot' }, el('figcaption', {}, options.label, this.legend), el('div', { class: 'canvas' }, this.canvas));
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    view.on(scheme, 'change', () => this.#make());
    view.signal.addEventListener('abort', () => this.chart?.destroy());
  }

  #make() {
    const old = this.chart;
    const { series, format, stacked, floor, steps } = this.options;
    old?.destroy();
    const options = base(format, steps);
    options.scales.y.suggestedMax = floor;
    options.scales.x.stacked = Boolean(stacked);
    options.scales.y.stacked = Boolean(stacked);
    this.chart = new Chart(this.canvas, {
      type: 'line',
      data: {
        datasets: series.map((one, i) => ({
          label: one.label, data: [], borderColor: colour(one.colour), backgroundColor: `${colour(one.colour)}${stacked ? '55' : '22'}`,
          borderWidth: one.dashed ? 1.5 : 2, borderDash: one.dashed ? [5, 4] : [], pointRadius: 0, pointHitRadius: 8, tension: 0,
          fill: one.filled || stacked ? (stacked && i > 0 ? '-1' : 'origin') : false, stack: one.dashed ? one.name : 'all',
        })),
      },
      options,
      plugins: [marksPlugin],
    });
    if (this.last) this.update(...this.last);
  }

  update(points, frame) {
    this.last = [points, frame];
    if (!this.canvas.isConnected) return;
    if (!this.chart) return this.#make();
    this.options.series.forEach((series, i) => {
      this.chart.data.datasets[i].pointRadius = points.length === 1 ? 3 : 0; // One point makes no line.
      this.chart.data.datasets[i].data = points.map((point) => ({ x: point.x, y: point[series.name] ?? NaN }));
    });
    Object.assign(this.chart.options.scales.x, { min: frame.from, max: frame.to });
    this.chart.options.plugins.marks = { marks: frame.marks ?? [] };
    this.chart.update('none');
  }
}

// Bars from left to right with their figure: a handful of parts of a whole. Drawn by the page itself: text stays text.
// parts: [{ name, value, href }]; format(value)
export function bars(parts, format, colourName = 'series-1') {
  const top = Math.max(1, ...parts.map((part) => part.value));
  return el('div', { class: 'bars' }, parts.map((part) => {
    const bar = el('span', { class: 'bar-fill', 'data-colour': colourName });
    bar.style.width = `${part.value === 0 ? 0 : Math.max(0.5, (100 * part.value) / top)}%`;
    const name = part.href ? el('a', { href: part.href }, part.name) : part.name;
    return el('div', { class: 'bar-row' }, el('span', { class: 'bar-name', title: part.name }, name), el('span', { class: 'bar-track' }, bar), el('span', { class: 'bar-value' }, format(part.value)));
  }));
}
