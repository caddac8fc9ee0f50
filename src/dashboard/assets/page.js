// page.js: asks Plimsoll for its state each second and shows it.
//
// The one hard thing is to leave alone what did not change: a person may be selecting a word, and a
// screen reader reads out every change. So elements are made once, kept by name, and a text is
// written only when it differs.

const POLL_MS = 1000;
const TIMEOUT_MS = 3000;
const CHANGES_MAX = 12;
const WIDTH = 300;
const HEIGHT = 100;
const SVG = 'http://www.w3.org/2000/svg';

const OVERALL = {
  ok: ['All is well', 'Requests are served, and every check passes.'],
  degraded: ['Degraded', 'Requests are served, but not everything works.'],
  down: ['Down', 'Requests cannot be served.'],
  draining: ['Draining', 'Running requests are finished; no new ones are taken. Then Plimsoll ends.'],
};

// [sign, tone] of a state; the word itself is always shown beside it.
const TARGET_SIGNS = {
  up: ['●', 'ok'], down: ['■', 'bad'], ejected: ['▲', 'warn'], paused: ['▲', 'warn'], draining: ['▽', ''],
};
const BREAKER_SIGNS = {
  closed: ['●', 'ok'],
  open: ['■', 'bad'],
  'half-open': ['▲', 'warn'],
  'forced-open': ['■', 'bad'],
  'forced-closed': ['▲', 'warn'],
};

const byId = (id) => document.getElementById(id);

// ---- elements ----

function element(name, properties = {}, children = []) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === 'text') node.textContent = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function drawing(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function mark(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// ---- numbers ----

const whole = new Intl.NumberFormat('en');

function rate(value) {
  if (value === 0) return '0';
  if (value < 10) return value.toFixed(1);
  return whole.format(Math.round(value));
}

function time(ms) {
  if (!ms) return '–';
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return span(ms);
}

function span(ms) {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  if (minutes > 0) return `${minutes} min ${seconds % 60} s`;
  return `${seconds} s`;
}

const clock = () => new Date().toTimeString().slice(0, 8);

// ---- charts ----

// A line for each of `lines` ({ field, style, isArea }), newest at the right edge.
class Chart {
  constructor(host, what, format, lines) {
    this.what = what;
    this.format = format;
    this.lines = lines;
    this.svg = drawing('svg', {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': what,
    });
    this.svg.append(drawing('path', { class: 'base', d: `M0 ${HEIGHT}H${WIDTH}` }));
    this.paths = lines.map((line) => drawing('path', { class: line.style }));
    this.areas = lines.map((line) => (line.isArea ? drawing('path', { class: 'area' }) : null));
    this.svg.append(...this.areas.filter(Boolean), ...this.paths);
    this.peak = element('span', { class: 'peak', 'aria-hidden': 'true' });
    host.append(this.svg, this.peak);
  }

  show(recent) {
    const all = this.lines.map((line) => recent[line.field]);
    const top = Math.max(0, ...all.map((values) => Math.max(0, ...values)));
    const step = WIDTH / (recent.points_max - 1);
    all.forEach((values, i) => {
      const { line, area } = trace(values, top, step);
      mark(this.paths[i], 'd', line);
      if (this.areas[i]) mark(this.areas[i], 'd', area);
    });
    const peak = top === 0 ? '' : `peak ${this.format(top)}`;
    write(this.peak, peak);
    mark(this.svg, 'aria-label', `${this.what}, the last five minutes${peak && `, ${peak}`}`);
  }
}

// The path of one line, and the same closed down to the ground. A null is a gap.
function trace(values, top, step) {
  const place = (i) => (WIDTH - (values.length - 1 - i) * step).toFixed(1);
  const height = (value) => (top === 0 ? HEIGHT : HEIGHT - (value / top) * HEIGHT).toFixed(1);
  let line = '';
  let area = '';
  let begin = -1;
  for (let i = 0; i <= values.length; i += 1) {
    const isThere = i < values.length && values[i] !== null;
    if (isThere) line += `${begin < 0 ? 'M' : 'L'}${place(i)} ${height(values[i])}`;
    if (isThere && begin < 0) begin = i;
    if (!isThere && begin >= 0) {
      const points = values.slice(begin, i).map((value, k) => `L${place(begin + k)} ${height(value)}`);
      area += `M${place(begin)} ${HEIGHT}${points.join('')}L${place(i - 1)} ${HEIGHT}Z`;
      begin = -1;
    }
  }
  return { line, area };
}

const charts = [
  new Chart(byId('requests-chart'), 'Requests per second', rate,
    [{ field: 'requests', style: 'a', isArea: true }]),
  new Chart(byId('latency-chart'), 'Latency: p50, p90 and p99', time,
    [{ field: 'p50_ms', style: 'a', isArea: true }, { field: 'p90_ms', style: 'b' },
      { field: 'p99_ms', style: 'c' }]),
  new Chart(byId('errors-chart'), 'Answers per second with status 5xx and 4xx', rate,
    [{ field: 'status_5xx', style: 'bad' }, { field: 'status_4xx', style: 'warn' }]),
  new Chart(byId('refused-chart'), 'Requests limited, refused by breakers and tried again per second', rate,
    [{ field: 'limited', style: 'warn' }, { field: 'refused', style: 'bad' },
      { field: 'retries', style: 'a' }]),
  new Chart(byId('connections-chart'), 'Connections and WebSockets', rate,
    [{ field: 'connections', style: 'a', isArea: true }, { field: 'tunnels', style: 'b' }]),
];

// ---- changes ----

const known = new Map();

function tell(text) {
  const list = byId('changes');
  list.prepend(element('li', {}, [element('time', { text: clock() }), element('span', { text })]));
  while (list.children.length > CHANGES_MAX) list.lastChild.remove();
  byId('changes-none').hidden = true;
}

// Tells when what is known by this name has another value than before.
function watch(name, value, text) {
  if (known.has(name) && known.get(name) !== value) tell(text);
  known.set(name, value);
}

// ---- the state of the whole ----

function showOverall(state, word, text) {
  mark(byId('overall'), 'data-state', state);
  write(byId('overall-word'), word);
  write(byId('overall-text'), text);
  document.title = `${word} · Plimsoll`;
}

function showFindings(findings) {
  const list = byId('findings');
  const wanted = JSON.stringify(findings);
  if (list.dataset.shown === wanted) return;
  list.dataset.shown = wanted;
  list.hidden = findings.length === 0;
  list.replaceChildren(...findings.map((finding) => {
    const name = finding.component || finding.check;
    return element('li', {}, [element('strong', { text: name }), ` ${finding.text}`]);
  }));
}

// ---- upstreams ----

function pill(node, word, [sign, tone] = ['', '']) {
  mark(node, 'data-tone', tone);
  write(node, `${sign} ${word}`.trim());
}

const COLUMNS = ['Target', 'State', 'In flight', 'Latency', 'Tries', 'Failures', 'Last check'];

class TargetRow {
  constructor() {
    this.name = element('th', { scope: 'row', role: 'rowheader' });
    this.pill = element('span', { class: 'pill' });
    this.why = element('span', { class: 'why' });
    this.cells = COLUMNS.slice(1).map((label) => element('td', { role: 'cell', 'data-label': label }));
    this.cells[0].append(this.pill, this.why);
    this.node = element('tr', { role: 'row' }, [this.name, ...this.cells]);
  }

  show(upstream, target) {
    const wait = target.for_ms > 0 ? `, ${span(target.for_ms + 999)} left` : '';
    write(this.name, target.address);
    pill(this.pill, target.state, TARGET_SIGNS[target.state]);
    write(this.why, target.reason === '' ? '' : target.reason + wait);
    write(this.cells[1], whole.format(target.in_flight));
    write(this.cells[2], time(target.latency_ms));
    write(this.cells[3], whole.format(target.tries));
    write(this.cells[4], whole.format(target.failures));
    write(this.cells[5], target.check ?? 'not checked');
    const reason = target.reason === '' ? '' : ` (${target.reason})`;
    watch(`${upstream} ${target.address}`, target.state,
      `${upstream}: target ${target.address} is ${target.state}${reason}`);
  }
}

class UpstreamCard {
  constructor() {
    this.title = element('h3');
    this.breaker = element('span', { class: 'pill' });
    this.figures = ['tries per second', 'p50', 'p90', 'p99'].map(() => element('dd', { text: '–' }));
    const names = ['tries/s', 'p50', 'p90', 'p99'];
    const list = element('dl', { class: 'upstream-figures' }, names.map((name, i) => (
      element('div', {}, [element('dt', { text: name }), this.figures[i]]))));
    this.rows = new Map();
    this.body = element('tbody', { role: 'rowgroup' });
    const head = element('tr', { role: 'row' }, COLUMNS.map((label) => (
      element('th', { scope: 'col', role: 'columnheader', text: label }))));
    this.table = element('table', { role: 'table' }, [
      element('thead', { role: 'rowgroup' }, [head]), this.body]);
    this.node = element('article', { class: 'card' }, [
      element('div', { class: 'upstream-top' }, [this.title, this.breaker, list]), this.table]);
  }

  show(upstream) {
    write(this.title, upstream.name);
    mark(this.table, 'aria-label', `Targets of ${upstream.name}`);
    this.showBreaker(upstream.name, upstream.breaker);
    const { tries_per_s: tries, p50_ms: p50, p90_ms: p90, p99_ms: p99 } = upstream.now;
    [rate(tries), time(p50), time(p90), time(p99)].forEach((text, i) => write(this.figures[i], text));
    keep(this.rows, this.body, upstream.targets, (target) => target.address, TargetRow,
      (row, target) => row.show(upstream.name, target));
  }

  showBreaker(name, breaker) {
    this.breaker.hidden = breaker === null;
    if (breaker === null) return;
    const wait = breaker.probes_after_ms > 0 ? `, probes in ${span(breaker.probes_after_ms + 999)}` : '';
    pill(this.breaker, `breaker ${breaker.state}${wait}`, BREAKER_SIGNS[breaker.state]);
    watch(`breaker ${name}`, breaker.state, `${name}: the breaker is ${breaker.state}`);
  }
}

// Keeps one view for each item, in the order of the items.
function keep(views, host, items, nameOf, View, show) {
  const names = new Set(items.map(nameOf));
  for (const [name, view] of views) {
    if (names.has(name)) continue;
    view.node.remove();
    views.delete(name);
  }
  items.forEach((item, i) => {
    const name = nameOf(item);
    if (!views.has(name)) views.set(name, new View());
    const view = views.get(name);
    if (host.children[i] !== view.node) host.insertBefore(view.node, host.children[i] ?? null);
    show(view, item);
  });
}

const upstreamCards = new Map();

function showUpstreams(upstreams) {
  const targets = upstreams.flatMap((upstream) => upstream.targets);
  const up = targets.filter((target) => target.state === 'up').length;
  write(byId('upstreams-aside'), `${up} of ${targets.length} targets up`);
  keep(upstreamCards, byId('upstreams'), upstreams, (upstream) => upstream.name, UpstreamCard,
    (card, upstream) => card.show(upstream));
}

// ---- the page ----

function showFigures(status) {
  const { now, traffic, totals, limits } = status;
  const texts = {
    version: status.version,
    uptime: span(status.uptime_ms),
    requests: rate(now.requests_per_s),
    p50: time(now.p50_ms),
    p90: time(now.p90_ms),
    p99: time(now.p99_ms),
    'errors-5xx': rate(now.status_5xx_per_s),
    'errors-4xx': rate(now.status_4xx_per_s),
    limited: rate(now.limited_per_s),
    refused: rate(now.refused_by_breaker_per_s),
    retries: rate(now.retries_per_s),
    connections: whole.format(traffic.connections),
    running: whole.format(traffic.requests_running),
    tunnels: whole.format(traffic.tunnels),
    'limit-keys': `${whole.format(limits.keys)} of ${whole.format(limits.keys_max)}`,
    'limited-total': whole.format(totals.limited),
    'limit-evictions': whole.format(limits.evicted_live),
    listeners: status.listeners.map((l) => l.address + (l.tls ? ' (TLS)' : '')).join(', '),
    configuration: status.configuration ?? 'flags of the command line',
    process: `${status.pid}, ${status.loops} ${status.loops === 1 ? 'loop' : 'loops'}`,
  };
  for (const [id, text] of Object.entries(texts)) write(byId(id), text);
  mark(byId('limit-meter'), 'value', String(limits.keys / limits.keys_max));
}

function show(status, recent) {
  const { state, findings } = status.overall;
  const [word, text] = OVERALL[state];
  document.body.classList.remove('is-stale');
  showOverall(state, word, text);
  showFindings(findings);
  watch('answer', 'yes', 'Plimsoll answers again');
  watch('process', `${status.pid}`, `Plimsoll was started again, as process ${status.pid}`);
  watch('overall', state, `the state is ${state}`);
  showFigures(status);
  showUpstreams(status.upstreams);
  for (const chart of charts) chart.show(recent);
}

let lastAnswer = clock();

function lose() {
  document.body.classList.add('is-stale');
  showOverall('lost', 'No answer',
    `Plimsoll has not answered since ${lastAnswer}. The numbers below are of then. Asking again each second.`);
  showFindings([]);
  watch('answer', 'no', 'Plimsoll does not answer');
}

async function ask(path) {
  const answer = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok) throw new Error(`${path}: status ${answer.status}`);
  return answer.json();
}

async function poll() {
  let answers;
  try {
    answers = await Promise.all([ask('api/admin/status'), ask('api/admin/recent')]);
  } catch {
    lose();
    return;
  }
  lastAnswer = clock();
  show(...answers);
}

// Not while nobody looks; at once when somebody does again.
let timer = 0;

async function run() {
  clearTimeout(timer);
  if (document.hidden) return;
  const begun = performance.now();
  await poll();
  clearTimeout(timer);
  timer = setTimeout(run, Math.max(0, POLL_MS - (performance.now() - begun)));
}

document.addEventListener('visibilitychange', run);
run();
