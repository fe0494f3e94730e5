"use strict";
// The chart of a snapshot. The time axis is the library's; bars, lines and bands are drawn on its
// canvas from typed arrays, so that their number costs neither DOM elements nor objects.

const L = LightweightCharts;
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const REGIMES = ["", "UP", "DOWN", "SIDEWAYS"];
const STATE_COLORS = { live: "up", paused: "slow", degraded: "down" };
const FIRST_SLOTS = 3000; // drawn at once; the rest of the time axis follows
const HINTS = { regime: "green UP, red DOWN, grey SIDEWAYS", proof: "hatched: another history "
  + "could still give another regime", gaps: "bars that Binance itself lacks",
  revised: "bars that Binance has changed since an earlier snapshot on this volume",
  orders: "open orders; dotted: they close a position", states: "green line at the top: live",
  fills: "up: bought, down: sold; filled: entry, hollow: exit" };
const KEYS = { candles: "Bars", volume: "Volume", emas: "EMAs", regime: "Regime", proof: "Proof",
  gaps: "Gaps", revised: "Revised", orders: "Orders", fills: "Fills", states: "Trader" };
const shown = Object.fromEntries(Object.keys(KEYS).map((key) => [key, true]));
let palette = PALETTES.light, current = null, isLog = false;

// -- one stream ---------------------------------------------------------------------------------

/** Decode a stream's columns, once. */
async function load(stream) {
  if (stream.loaded) return stream.loaded;
  const names = Object.keys(stream.columns);
  const decoded = await Promise.all(names.map((name) => unpack(stream.columns[name])));
  const columns = Object.fromEntries(names.map((name, at) => [name, decoded[at]]));
  const absent = new Uint8Array(stream.slots), regime = new Uint8Array(stream.slots);
  for (const run of stream.absent) absent.fill(1, run.at, run.at + run.slots);
  stream.regimes.forEach((each, at) => {
    const end = stream.regimes[at + 1]?.at ?? stream.slots;
    regime.fill(REGIMES.indexOf(each.regime), each.at, end);
  });
  const loaded = { stream, columns, absent, regime, ...placed(stream, columns.time) };
  stream.loaded = loaded;
  return loaded;
}

/** Return the index of the last time that is not after `ms`; -1 if all are. */
function slotAt(times, ms) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] * 1000 <= ms) low = middle + 1; else high = middle;
  }
  return low - 1;
}

/** Give the trader's events their slots. */
function placed(stream, times) {
  const at = (ms) => slotAt(times, ms);
  const fills = (stream.fills ?? []).map((each) => ({ ...each, at: at(each.atMs) }));
  const orders = (stream.orders ?? []).map((each) => ({
    ...each, at: at(each.fromMs), end: each.toMs === null ? times.length - 1 : at(each.toMs),
  }));
  const states = (data.trader?.states ?? []).map((each) => ({ ...each, at: at(each.atMs) }));
  const fillsAt = new Map();
  for (const each of fills) fillsAt.set(each.at, [...(fillsAt.get(each.at) ?? []), each]);
  return { fills, orders, states, fillsAt, revisedAt: new Map(stream.revised.map((r) => [r.at, r])) };
}

// -- drawing ------------------------------------------------------------------------------------

/** What is visible of a pane: pixels of the bitmap, and the slots that they show. */
class View {
  constructor(scope, chart) {
    const { context, bitmapSize, horizontalPixelRatio: rx, verticalPixelRatio: ry } = scope;
    Object.assign(this, { ctx: context, width: bitmapSize.width, height: bitmapSize.height, rx, ry });
    const scale = chart.time.timeScale(), origin = scale.logicalToCoordinate(0);
    this.isEmpty = origin === null;
    this.step = scale.options().barSpacing * rx;
    this.origin = (origin + 0.5 / rx) * rx - chart.offset * this.step;
    this.first = Math.max(0, Math.floor((-this.step - this.origin) / this.step));
    this.last = Math.min(chart.loaded.stream.slots - 1,
      Math.ceil((this.width + this.step - this.origin) / this.step));
  }

  x(slot) {
    return this.origin + slot * this.step;
  }

  slot(x) {
    return Math.round((x - this.origin) / this.step);
  }

  /** Return the function from price to y: straight unless the scale is logarithmic. */
  prices(series, low, high) {
    const one = series.priceToCoordinate(low), two = series.priceToCoordinate(high);
    if (one === null || two === null) return null;
    if (isLog) return (price) => series.priceToCoordinate(price) * this.ry;
    const slope = (two - one) / (high - low) * this.ry, start = one * this.ry;
    return (price) => start + (price - low) * slope;
  }
}

const GROUP = 16; // slots that are drawn as one where a pixel shows at least as many
const groups = new WeakMap();
/** Return a column's lowest, highest, first and last value in each group of slots; NaN: no bar. */
function groupsOf(values, absent) {
  if (groups.has(values)) return groups.get(values);
  const count = Math.ceil(values.length / GROUP), made = () => new Float64Array(count).fill(NaN);
  const low = made(), high = made(), first = made(), last = made();
  for (let at = 0; at < values.length; at++) {
    const value = values[at], group = Math.floor(at / GROUP);
    if (absent[at] || value !== value) continue;
    if (first[group] !== first[group]) first[group] = low[group] = high[group] = value;
    if (value < low[group]) low[group] = value;
    if (value > high[group]) high[group] = value;
    last[group] = value;
  }
  groups.set(values, { size: GROUP, low, high, first, last });
  return groups.get(values);
}

/** Return what a column is drawn from: its slots, or groups of them where these are narrower than
    a pixel. */
function levelOf(view, loaded, values) {
  if (view.step * GROUP <= 1) return groupsOf(values, loaded.absent);
  return { size: 1, low: values, high: values, first: values, last: values };
}

/** Call `emit(x, open, high, low, close, volume)` for each bar, or each pixel's bars. */
function eachBar(view, loaded, emit) {
  const { columns, absent } = loaded, level = (name) => levelOf(view, loaded, columns[name]);
  const { size, last: close } = level("close"), open = level("open").first;
  const high = level("high").high, low = level("low").low, volume = level("volume").high;
  const from = Math.floor(view.first / size), to = Math.floor(view.last / size);
  const isAbsent = size === 1 ? (at) => absent[at] : (at) => close[at] !== close[at];
  if (view.step >= 2) {
    for (let at = from; at <= to; at++) {
      if (!isAbsent(at)) emit(view.x(at), open[at], high[at], low[at], close[at], volume[at]);
    }
    return;
  }
  let column = null, o = 0, h = 0, l = 0, c = 0, v = 0;
  for (let at = from; at <= to; at++) {
    if (isAbsent(at)) continue;
    const x = Math.floor(view.x(at * size + (size - 1) / 2));
    if (x !== column) {
      if (column !== null) emit(column + 0.5, o, h, l, c, v);
      column = x; o = open[at]; h = high[at]; l = low[at]; v = volume[at];
    } else {
      if (high[at] > h) h = high[at];
      if (low[at] < l) l = low[at];
      if (volume[at] > v) v = volume[at];
    }
    c = close[at];
  }
  if (column !== null) emit(column + 0.5, o, h, l, c, v);
}

function drawBars(view, chart) {
  const { ctx } = view, { loaded } = chart, isWide = view.step >= 2;
  const y = view.prices(chart.price, chart.range.low, chart.range.high);
  if (!y) return;
  const most = rangeOf([loaded.columns.volume], view.first, view.last)?.high || 1;
  const room = view.height * 0.17;
  const body = Math.max(1, Math.floor(view.step * 0.72)), wick = Math.max(1, Math.floor(view.rx));
  const boxes = { up: [[], []], down: [[], []] }; // x, y, width, height; whole pixels draw fast
  eachBar(view, loaded, (x, open, high, low, close, volume) => {
    const [bars, volumes] = close >= open ? boxes.up : boxes.down;
    const left = isWide ? Math.round(x - body / 2) : Math.floor(x), width = isWide ? body : 1;
    if (shown.volume) {
      const tall = Math.ceil(volume / most * room);
      volumes.push(left, view.height - tall, width, tall);
    }
    if (!shown.candles) return;
    const top = Math.round(y(high)), bottom = Math.round(y(low));
    if (!isWide) {
      bars.push(left, top, 1, Math.max(1, bottom - top));
      return;
    }
    const a = Math.round(y(Math.max(open, close))), b = Math.round(y(Math.min(open, close)));
    bars.push(left + Math.floor((body - wick) / 2), top, wick, Math.max(1, bottom - top));
    bars.push(left, a, body, Math.max(1, b - a));
  });
  for (const [name, [bars, volumes]] of Object.entries(boxes)) {
    ctx.fillStyle = palette[name];
    ctx.globalAlpha = palette.volume;
    fillAll(ctx, volumes);
    ctx.globalAlpha = 1;
    fillAll(ctx, bars);
  }
}

function fillAll(ctx, boxes) {
  for (let at = 0; at < boxes.length; at += 4) {
    ctx.fillRect(boxes[at], boxes[at + 1], boxes[at + 2], boxes[at + 3]);
  }
}

function drawLine(view, chart, series, range, values, color, width = 1.5) {
  const y = view.prices(series, range.low, range.high);
  if (!y) return;
  const { ctx } = view, { absent } = chart.loaded, thick = Math.round(width * view.rx);
  if (view.step < 0.25) { // several values a pixel: a box from the lowest to the highest
    ctx.fillStyle = color;
    const { size, low: lows, high: highs, last } = levelOf(view, chart.loaded, values);
    let column = null, low = 0, high = 0, end = null;
    const flush = () => {
      const top = Math.round(y(high)), bottom = Math.round(y(low));
      ctx.fillRect(column, top, thick, Math.max(thick, bottom - top));
    };
    for (let at = Math.floor(view.first / size); at <= Math.floor(view.last / size); at++) {
      const least = lows[at], most = highs[at];
      if (least !== least || (size === 1 && absent[at])) { end = null; continue; }
      const x = Math.floor(view.x(at * size + (size - 1) / 2));
      if (x !== column) {
        if (column !== null) flush();
        column = x;
        low = end === null ? least : Math.min(end, least); // joined to the pixel before
        high = end === null ? most : Math.max(end, most);
      } else {
        if (least < low) low = least;
        if (most > high) high = most;
      }
      end = last[at];
    }
    if (column !== null) flush();
    return;
  }
  ctx.beginPath();
  let isOpen = false;
  for (let at = view.first; at <= view.last; at++) {
    const value = values[at];
    if (absent[at] || value !== value) isOpen = false;
    else if (isOpen) ctx.lineTo(view.x(at), y(value));
    else { ctx.moveTo(view.x(at), y(value)); isOpen = true; }
  }
  ctx.strokeStyle = color;
  ctx.lineWidth = width * view.rx;
  ctx.lineJoin = "round";
  ctx.stroke();
}

/** Fill a stretch of slots over the whole height. */
function band(view, from, to, style) {
  const left = Math.max(0, Math.round(view.x(from - 0.5)));
  const right = Math.min(view.width, Math.max(left + 1, Math.round(view.x(to + 0.5))));
  if (right <= 0 || left >= view.width) return null;
  view.ctx.fillStyle = style;
  view.ctx.fillRect(left, 0, right - left, view.height);
  return [left, right];
}

const hatches = new Map();
/** Return a pattern of diagonal lines. */
function hatch(view, color, gap) {
  const key = `${color} ${gap} ${view.rx}`;
  if (!hatches.has(key)) hatches.set(key, hatched(view, color, gap));
  return hatches.get(key);
}

function hatched(view, color, gap) {
  const size = Math.round(gap * view.rx), tile = new OffscreenCanvas(size, size);
  const ctx = tile.getContext("2d");
  ctx.strokeStyle = color;
  ctx.lineWidth = view.rx;
  for (const shift of [-size, 0, size]) {
    ctx.moveTo(shift, size);
    ctx.lineTo(shift + size, 0);
  }
  ctx.stroke();
  return view.ctx.createPattern(tile, "repeat");
}

function drawGround(view, chart) {
  const { loaded } = chart, { stream, regime } = loaded;
  if (shown.regime && stream.detector) {
    let from = 0, code = 0;
    for (let x = 0; x <= view.width; x++) { // one look per pixel, however many bars
      const slot = view.slot(x);
      const next = x === view.width || slot < 0 || slot >= stream.slots ? 0 : regime[slot];
      if (next === code && x < view.width) continue;
      if (code) {
        view.ctx.fillStyle = palette.bands[code];
        view.ctx.fillRect(from, 0, x - from, view.height);
      }
      from = x;
      code = next;
    }
  }
  if (shown.proof && stream.proof) {
    const end = stream.proof.proven_at ?? stream.slots;
    if (end > 0) band(view, 0, end - 1, hatch(view, palette.hatch, 8));
  }
  if (shown.gaps) {
    for (const run of stream.absent) {
      band(view, run.at, run.at + run.slots - 1,
        run.why === "gap" ? hatch(view, palette.gap, 5) : palette.bands[3]);
    }
  }
}

/** Draw a vertical line with a label beside its top; `row` keeps labels apart. */
function mark(view, slot, text, color, row, dash = [4, 3]) {
  const x = Math.round(view.x(slot - 0.5)) + 0.5, { ctx, rx, ry } = view;
  if (x < -1 || x > view.width + 1) return;
  ctx.strokeStyle = color;
  ctx.lineWidth = rx;
  ctx.setLineDash(dash.map((each) => each * rx));
  ctx.beginPath();
  ctx.moveTo(x, 0);
  ctx.lineTo(x, view.height);
  ctx.stroke();
  ctx.setLineDash([]);
  pill(view, x, (62 + row * 18) * ry, text, color);
}

/** Draw a text on a filled label, to the right of x or to the left where there is no room. */
function pill(view, x, y, text, color) {
  const { ctx, rx, ry } = view;
  ctx.font = `${11 * rx}px system-ui, sans-serif`;
  const wide = ctx.measureText(text).width + 8 * rx;
  const left = x + wide > view.width ? x - wide : x;
  ctx.fillStyle = color;
  ctx.fillRect(left, y, wide, 16 * ry);
  ctx.fillStyle = palette.label;
  ctx.textBaseline = "middle";
  ctx.fillText(text, left + 4 * rx, y + 8.5 * ry);
}

function drawMarks(view, chart) {
  const { loaded } = chart, { stream, columns } = loaded, { ctx } = view;
  const y = view.prices(chart.price, chart.range.low, chart.range.high);
  if (!y) return;
  if (shown.orders) drawOrders(view, loaded, y);
  if (shown.revised) {
    ctx.fillStyle = palette.slow;
    const size = Math.min(5, Math.max(3, view.step / view.rx / 2)) * view.rx;
    for (const each of stream.revised) {
      if (each.at < view.first || each.at > view.last) continue;
      const x = view.x(each.at), top = y(columns.high[each.at]) - 9 * view.ry;
      ctx.beginPath();
      for (const [dx, dy] of [[0, -1], [1, 0], [0, 1], [-1, 0]]) {
        ctx.lineTo(x + dx * size, top + dy * size);
      }
      ctx.fill();
    }
  }
  if (shown.fills) drawFills(view, loaded, y);
  if (shown.states) drawStates(view, loaded);
  if (shown.gaps) {
    for (const run of stream.absent) {
      const wide = run.slots * view.step;
      if (run.at + run.slots < view.first || run.at > view.last || wide < 40 * view.rx) continue;
      const text = run.why === "gap" ? `${number(run.bars)} missing` : "after the snapshot";
      pill(view, Math.max(0, view.x(run.at - 0.5)), view.height * 0.6, text, palette.muted);
    }
  }
  if (shown.proof && stream.proof?.proven_at > 0) {
    mark(view, stream.proof.proven_at, "regime proven from here", palette.proven, 0);
  }
}

function drawOrders(view, { orders }, y) {
  const { ctx } = view;
  ctx.lineWidth = view.rx;
  ctx.globalAlpha = 0.8;
  for (const each of orders) {
    if (each.end < view.first || each.at > view.last) continue;
    const at = Math.round(y(each.price)) + 0.5;
    ctx.strokeStyle = palette[each.side === "BUY" ? "buy" : "sell"];
    ctx.setLineDash(each.closes ? [2 * view.rx, 3 * view.rx] : []);
    ctx.beginPath();
    ctx.moveTo(view.x(each.at), at);
    ctx.lineTo(Math.max(view.x(each.end), view.x(each.at) + 3 * view.rx), at);
    ctx.stroke();
  }
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
}

function drawFills(view, { fills }, y) {
  const { ctx } = view, size = 5.5 * view.rx;
  ctx.lineWidth = 1.5 * view.rx;
  for (const each of fills) {
    if (each.at < view.first || each.at > view.last) continue;
    const x = view.x(each.at), at = y(each.price), up = each.side === "BUY" ? 1 : -1;
    ctx.beginPath();
    ctx.moveTo(x, at);
    ctx.lineTo(x - size, at + up * size * 1.7);
    ctx.lineTo(x + size, at + up * size * 1.7);
    ctx.closePath();
    ctx.fillStyle = each.closes ? palette.background : palette[up > 0 ? "buy" : "sell"];
    ctx.strokeStyle = each.closes ? palette[up > 0 ? "buy" : "sell"] : palette.background;
    ctx.fill();
    ctx.stroke();
  }
}

function drawStates(view, { states, stream }) {
  const tall = 4 * view.ry;
  let wasLive = false;
  states.forEach((each, at) => {
    const end = states[at + 1]?.at ?? stream.slots - 1;
    if (end >= view.first && each.at <= view.last) {
      view.ctx.fillStyle = palette[STATE_COLORS[each.state] ?? "wait"];
      const left = view.x(each.at - 0.5), right = view.x(end - 0.5);
      view.ctx.fillRect(left, 0, Math.max(view.rx, right - left), tall);
    }
    if (each.state === "live" && !wasLive) mark(view, each.at, "live", palette.up, 1, []);
    wasLive = each.state === "live" || (wasLive && each.state === "paused");
  });
}

// -- ranges of the scales -----------------------------------------------------------------------

const BLOCK = 512;
const blocks = new WeakMap();
/** Return the lowest and the highest value of each block of a column. */
function blocksOf(values) {
  if (!blocks.has(values)) {
    const count = Math.floor(values.length / BLOCK), lows = [], highs = [];
    for (let at = 0; at < count; at++) {
      const part = extent(values, at * BLOCK, (at + 1) * BLOCK - 1);
      lows.push(part[0]);
      highs.push(part[1]);
    }
    blocks.set(values, { lows, highs });
  }
  return blocks.get(values);
}

function extent(values, first, last, low = Infinity, high = -Infinity) {
  for (let at = first; at <= last; at++) {
    if (values[at] < low) low = values[at];
    if (values[at] > high) high = values[at];
  }
  return [low, high];
}

function rangeOf(columns, first, last) {
  let low = Infinity, high = -Infinity;
  const from = Math.ceil(first / BLOCK), to = Math.floor((last + 1) / BLOCK); // whole blocks
  for (const values of columns) {
    if (from >= to) {
      [low, high] = extent(values, first, last, low, high);
      continue;
    }
    const { lows, highs } = blocksOf(values);
    [low, high] = extent(values, first, from * BLOCK - 1, low, high);
    [low, high] = extent(values, to * BLOCK, last, low, high);
    for (let at = from; at < to; at++) {
      if (lows[at] < low) low = lows[at];
      if (highs[at] > high) high = highs[at];
    }
  }
  if (low > high) return null;
  if (low === high) return { low: low * 0.999 - 1e-9, high: high * 1.001 + 1e-9 };
  return { low, high };
}

/** Set up the automatic scale of a series: that of what is drawn, not of its own single point. */
function scaled(chart, key, columns, widen = (range) => range) {
  return () => {
    const visible = chart.time.timeScale().getVisibleLogicalRange();
    if (!visible) return null;
    const most = chart.loaded.stream.slots - 1, { offset } = chart;
    const first = Math.max(0, Math.floor(visible.from) + offset);
    const last = Math.min(most, Math.ceil(visible.to) + offset);
    const range = rangeOf(columns(), first, last);
    if (range) chart[key] = widen(range);
    return { priceRange: { minValue: chart[key].low, maxValue: chart[key].high } };
  };
}

// -- the chart ----------------------------------------------------------------------------------

/** Build the chart of a stream, draw its newest bars, and then give it the whole time axis. */
async function show(index) {
  const stream = data.streams[index], loaded = await load(stream), { columns } = loaded;
  current?.time.remove();
  byId("chart").replaceChildren(element("div"));
  byId("chart").firstChild.id = "plot";
  byId("legends").replaceChildren();
  const time = L.createChart(byId("plot"), {
    ...chartOptions(palette), autoSize: true,
    localization: { locale: "en-US", timeFormatter: (at) => `${utc(at * 1000)} UTC` },
    crosshair: { mode: L.CrosshairMode.Normal },
    timeScale: { timeVisible: true, secondsVisible: stream.interval === "1s", rightOffset: 6,
      barSpacing: 6, minBarSpacing: 0.001, borderColor: palette.border },
  });
  const chart = { time, stream, loaded, offset: 0, legends: [] };
  const first = columns.close.findIndex((value) => value === value);
  chart.range = { low: columns.low[first] * 0.99, high: columns.high[first] * 1.01 };
  chart.adxRange = { low: 0, high: 50 };
  chart.atrRange = { low: 0, high: 1 };
  const emas = stream.detector ? [columns.ema_fast, columns.ema_slow] : [];
  const format = (decimals) => ({ type: "custom", minMove: 10 ** -decimals,
    formatter: (value) => number(value, decimals) });
  const plain = { lineVisible: false, pointMarkersVisible: false, crosshairMarkerVisible: false };
  const carrier = (pane, key, values, decimals, widen) => time.addSeries(L.LineSeries, {
    ...plain, priceFormat: format(decimals), autoscaleInfoProvider: scaled(chart, key, values, widen),
    priceLineVisible: pane === 0, lastValueVisible: true,
  }, pane);
  chart.price = carrier(0, "range", () => [columns.low, columns.high,
    ...(shown.emas ? emas : [])], stream.priceDecimals);
  chart.price.priceScale().applyOptions({ scaleMargins: { top: 0.13, bottom: 0.2 } });
  chart.price.attachPrimitive(new Layer("bottom", (scope) => paint(scope, drawGround)));
  chart.price.attachPrimitive(new Layer("normal", (scope) => paint(scope, (view) => {
    drawBars(view, chart);
    if (!shown.emas) return;
    emas.forEach((values, at) => drawLine(view, chart, chart.price, chart.range, values,
      palette[at ? "slow" : "fast"]));
  })));
  chart.price.attachPrimitive(new Layer("top", (scope) => paint(scope, drawMarks)));
  if (stream.detector) {
    const few = Math.max(2, stream.priceDecimals);
    chart.adx = carrier(1, "adxRange", () => [columns.adx], 1,
      ({ high }) => ({ low: 0, high: Math.max(40, high) }));
    chart.atr = carrier(2, "atrRange", () => [columns.atr], few,
      ({ high }) => ({ low: 0, high }));
    chart.threshold = chart.adx.createPriceLine({ price: 20, lineWidth: 1, lineStyle: 2,
      color: palette.muted, axisLabelVisible: true, title: "" });
    chart.adx.attachPrimitive(new Layer("bottom", (scope) => paint(scope, drawGround)));
    for (const [series, key, name] of [[chart.adx, "adxRange", "adx"], [chart.atr, "atrRange", "atr"]]) {
      series.priceScale().applyOptions({ scaleMargins: { top: 0.16, bottom: 0.04 } });
      series.attachPrimitive(new Layer("normal", (scope) => paint(scope, (view) =>
        drawLine(view, chart, series, chart[key], columns[name], palette[name]))));
    }
    time.panes().forEach((pane, at) => pane.setStretchFactor(at ? 1 : 4.4));
  }
  function paint(scope, draw) {
    const view = new View(scope, chart);
    if (view.isEmpty) return;
    view.ctx.save();
    draw(view, chart);
    view.ctx.restore();
  }
  chart.setAxis = (from) => setAxis(chart, from);
  current = chart;
  recolor();
  chart.setAxis(Math.max(0, stream.slots - FIRST_SLOTS));
  describe(chart);
  addLegends(chart);
  await frame();
  performance.mark(`first-draw-${index}`);
  document.documentElement.dataset.state = "drawn";
  if (chart.offset) {
    await frame();
    if (current !== chart) return; // another stream was chosen meanwhile
    const scale = time.timeScale(), seen = scale.getVisibleLogicalRange(), { offset } = chart;
    chart.setAxis(0);
    scale.setVisibleLogicalRange({ from: seen.from + offset, to: seen.to + offset });
    await frame();
  }
  performance.mark(`whole-${index}`);
  document.documentElement.dataset.state = "ready";
}

/** Give the chart the time axis from this slot on; only the last slot has a value of its own. */
function setAxis(chart, from) {
  const { time, close, adx, atr } = chart.loaded.columns, last = chart.stream.slots - 1;
  const axis = new Array(last - from + 1);
  for (let at = from; at < last; at++) axis[at - from] = { time: time[at] };
  const point = (value) => ({ time: time[last], value: value === value ? value : 0 });
  axis[last - from] = point(close[last]);
  chart.offset = from;
  chart.price.setData(axis);
  chart.adx?.setData([point(adx[last])]);
  chart.atr?.setData([point(atr[last])]);
}

function frame() {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

// -- legends ------------------------------------------------------------------------------------

function addLegends(chart) {
  chart.legends = chart.time.panes().map(() => byId("legends").appendChild(element("div", "legend")));
  const follow = (event) => {
    const hovered = event?.logical === undefined ? null : event.logical + chart.offset;
    const slot = hovered === null || !event.point ? chart.stream.slots - 1 : hovered;
    chart.hovered = Math.min(Math.max(slot, 0), chart.stream.slots - 1);
    legend(chart);
  };
  chart.time.subscribeCrosshairMove(follow);
  new ResizeObserver(() => requestAnimationFrame(() => current === chart && legend(chart)))
    .observe(byId("plot"));
  follow(null);
}

/** Append a name and a value in a color to a line of a legend. */
function put(line, name, text, color = "") {
  const part = element("span");
  if (name) part.append(element("i", "", name));
  const value = element("b", "", text);
  if (color) value.style.color = color;
  value.style.fontWeight = 500;
  part.append(value);
  line.append(part);
}

function legend(chart) {
  const { stream, loaded, legends, hovered: at } = chart, { columns } = loaded;
  const top = byId("legends").getBoundingClientRect().top;
  chart.time.panes().forEach((pane, index) => {
    const place = pane.getHTMLElement()?.getBoundingClientRect();
    if (place && legends[index]) legends[index].style.top = `${place.top - top + 4}px`;
  });
  const price = (value) => number(value, stream.priceDecimals);
  const lines = [element("div"), element("div")];
  put(lines[0], "", `${utc(columns.time[at] * 1000)} UTC`);
  if (loaded.absent[at]) {
    const run = stream.absent.find((each) => each.at <= at && at < each.at + each.slots);
    put(lines[0], "", run.why === "gap" ? `no bar: Binance lacks ${number(run.bars)} here`
      : "after the snapshot's last bar", palette.slow);
  } else {
    const [open, close] = [columns.open[at], columns.close[at]];
    const color = palette[close >= open ? "up" : "down"];
    for (const [short, name] of [["O", "open"], ["H", "high"], ["L", "low"], ["C", "close"]]) {
      put(lines[0], short, price(columns[name][at]), color);
    }
    const change = (close / open - 1) * 1e4;
    put(lines[0], "", `${change >= 0 ? "+" : ""}${number(change, 1)} bps`, color);
    put(lines[0], "V", number(columns.volume[at], stream.sizeDecimals));
  }
  if (stream.detector) {
    const { ema_fast: fast, ema_slow: slow } = stream.detector;
    put(lines[1], `EMA ${fast}`, price(columns.ema_fast[at]), palette.fast);
    put(lines[1], `EMA ${slow}`, price(columns.ema_slow[at]), palette.slow);
    const apart = (columns.ema_fast[at] / columns.ema_slow[at] - 1) * 1e4;
    put(lines[1], "apart", Number.isNaN(apart) ? "–" : `${number(apart, 1)} bps`);
    const regime = REGIMES[loaded.regime[at]];
    const color = { UP: palette.up, DOWN: palette.down }[regime] ?? palette.text;
    put(lines[1], "regime", regime || "–", color);
    if (stream.proof) put(lines[1], "", proofAt(stream.proof, at), palette.muted);
  }
  const revised = loaded.revisedAt.get(at);
  if (revised) {
    const line = element("div");
    const [open, high, low, close, volume] = revised.before;
    put(line, `revised; ${revised.snapshot} had`, `O ${price(open)} H ${price(high)} `
      + `L ${price(low)} C ${price(close)} V ${number(volume, stream.sizeDecimals)}`, palette.slow);
    lines.push(line);
  }
  for (const fill of (loaded.fillsAt.get(at) ?? []).slice(0, 6)) {
    const line = element("div");
    put(line, fill.closes ? "exit" : "entry", `${fill.side} ${fill.quantity} @ `
      + `${price(fill.price)} ${fill.book} ${fill.maker ? "maker" : "taker"} fee ${fill.fee}`,
    palette[fill.side === "BUY" ? "buy" : "sell"]);
    lines.push(line);
  }
  legends[0].replaceChildren(...lines);
  if (!stream.detector || !legends[2]) return;
  const { adx_len: adxLength, atr_len: atrLength } = stream.detector;
  const adx = element("div"), atr = element("div");
  put(adx, `ADX ${adxLength}`, number(columns.adx[at], 2), palette.adx);
  put(adx, "", columns.adx[at] < 20 ? "below 20: SIDEWAYS" : "", palette.muted);
  put(atr, `ATR ${atrLength}`, price(columns.atr[at]), palette.atr);
  const bps = columns.atr[at] / columns.close[at] * 1e4;
  put(atr, "", Number.isNaN(bps) ? "" : `${number(bps, 1)} bps of the close`, palette.muted);
  legends[1].replaceChildren(adx);
  legends[2].replaceChildren(atr);
}

function proofAt(proof, at) {
  if (proof.proven_at === null) return "not proven";
  return at < proof.proven_at ? "not yet proven" : "proven";
}

// -- header and tables --------------------------------------------------------------------------

function fact(name, text, isWarning = false) {
  const part = element("span", isWarning ? "warn" : "");
  part.append(`${name} `, element("b", isWarning ? "warn" : "", text));
  byId("facts").append(part);
}

function describe(chart) {
  const { stream, loaded } = chart, { time } = loaded.columns, { proof } = stream;
  const gaps = stream.absent.filter((each) => each.why === "gap");
  const bars = (runs) => runs.reduce((sum, each) => sum + each.bars, 0);
  byId("title").textContent = `${stream.instrumentId} · ${stream.interval} · ${stream.price} price`;
  byId("facts").replaceChildren();
  fact("bars", number(stream.bars));
  const end = (stream.absent.find((each) => each.why === "after")?.at ?? stream.slots) - 1;
  fact("from", `${utc(time[0] * 1000)} to ${utc(time[end] * 1000)} UTC`);
  if (proof) {
    const { regime, possible } = proof.certificate;
    if (proof.proven_at === null) fact("regime not proven:", `${possible.join(" or ")} possible`, true);
    else fact("regime", `${regime}, proven from ${utc(time[proof.proven_at] * 1000)}`);
  }
  if (gaps.length) fact("gaps", `${number(gaps.length)} (${number(bars(gaps))} bars)`, true);
  if (stream.revised.length) fact("revised by Binance", `${number(stream.revised.length)} bars`, true);
  if (loaded.fills.length) fact("fills", number(loaded.fills.length));
  if (data.trader) fact("trader", data.trader.text);
  for (const each of data.degraded) fact("degraded:", each, true);
  const regime = proof ? `, regime ${proof.certificate.regime}` : "";
  byId("chart").setAttribute("aria-label", `${byId("title").textContent}: ${stream.bars} bars${regime}`);
  jumps(chart, gaps);
  tables(chart);
  layers();
}

function jumps(chart, gaps) {
  const { stream, loaded } = chart, { time } = loaded.columns, choices = [["…", null]];
  const add = (name, at) => choices.push([`${name} · ${utc(time[at] * 1000)}`, at]);
  add("first bar", 0);
  if (stream.proof?.proven_at > 0) add("regime proven", stream.proof.proven_at);
  let wasLive = false;
  for (const each of loaded.states) {
    if (each.at >= 0 && each.state === "live" && !wasLive) add("live", each.at);
    wasLive = each.state === "live";
  }
  gaps.slice(0, 100).forEach((each) => add(`gap of ${number(each.bars)}`, each.at));
  stream.revised.slice(0, 100).forEach((each) => add("revised bar", each.at));
  loaded.fills.filter((each) => each.at >= 0).slice(-200).forEach((each) => add(
    `${each.closes ? "exit" : "entry"} ${each.side} ${number(each.price, stream.priceDecimals)}`,
    each.at));
  add("last bar", stream.slots - 1);
  byId("goto").replaceChildren(...choices.map(([name, at]) => {
    const option = element("option", "", name);
    option.value = at ?? "";
    return option;
  }));
}

function goTo(slot) {
  const scale = current.time.timeScale(), seen = scale.getVisibleLogicalRange();
  const wide = Math.min(seen.to - seen.from, 400) / 2, at = slot - current.offset;
  scale.setVisibleLogicalRange({ from: at - wide, to: at + wide });
}

/** Show the last so many bars; null: all of them. */
function showLast(bars) {
  const scale = current.time.timeScale(), last = current.stream.slots - 1 - current.offset;
  const from = bars === null ? -1 : Math.max(-1, last - bars);
  scale.setVisibleLogicalRange({ from, to: last + (last - from) * 0.02 + 1 });
}

function table(caption, rows) {
  const made = element("table");
  made.append(element("caption", "", caption));
  for (const [name, text] of rows) {
    const row = element("tr");
    row.append(element("th", "", name), element("td", "", text));
    made.append(row);
  }
  byId("tables").append(made);
}

function tables({ stream }) {
  const { proof, detector } = stream;
  byId("tables").replaceChildren();
  table("Snapshot", [["id", data.snapshot], ["from", data.endpoint], ["venue", `${data.venue} ${data.market}`],
    ["created", `${utc(data.createdMs)} UTC`], ["bar type", stream.barType],
    ["written by", `warmup-job ${data.version}`]]);
  if (detector) {
    table("Detector", [["EMA fast, slow", `${detector.ema_fast}, ${detector.ema_slow}`],
      ["ADX, ATR", `${detector.adx_len}, ${detector.atr_len}`],
      ["hysteresis", `${detector.hysteresis_bps} bps`]]);
  }
  if (!proof) return;
  const { certificate: made } = proof;
  const error = (value, unit) => (value === null ? "–" : `${value} ${unit}`);
  table("Proof, after the last bar", [
    ["covers", `${number(made.bars)} bars${made.exact ? ", the symbol's whole history" : ""}`],
    ["possible regimes", made.possible.join(", ")],
    ["assumed extremes", `${made.lowest} to ${made.highest}`],
    ["error of EMA fast, slow", `${error(made.ema_fast_error_bps, "bps")}, ${error(made.ema_slow_error_bps, "bps")}`],
    ["error of ADX", error(made.adx_error, "points")],
    ["error of ATR", error(made.atr_error_bps, "bps")],
    ["distance from the hysteresis", error(made.hysteresis_margin_bps, "bps")],
    ["distance of ADX from 20", error(made.adx_margin, "points")],
  ]);
}

/** Return the layers that this stream has something for. */
function usable({ stream, loaded }) {
  return { candles: true, volume: true, emas: stream.detector, regime: stream.detector,
    proof: stream.proof, gaps: stream.absent.length, revised: stream.revised.length,
    orders: loaded.orders.length, fills: loaded.fills.length, states: loaded.states.length };
}

function layers() {
  const has = usable(current), colors = { candles: "up", volume: "wait", emas: "fast", regime: "up",
    proof: "proven", gaps: "slow", revised: "slow", orders: "buy", fills: "sell", states: "wait" };
  byId("layers").replaceChildren(...Object.keys(KEYS).filter((key) => has[key]).map((key) => {
    const button = element("button");
    button.type = "button";
    button.dataset.layer = key;
    button.title = HINTS[key] ?? "";
    button.setAttribute("aria-pressed", shown[key]);
    const swatch = element("span", "swatch");
    swatch.style.background = palette[colors[key]];
    button.append(swatch, KEYS[key]);
    button.addEventListener("click", () => {
      shown[key] = !shown[key];
      button.setAttribute("aria-pressed", shown[key]);
      redraw();
    });
    return button;
  }));
}

function redraw() { // an option that changes nothing makes the library draw and scale again
  current.time.applyOptions({});
  current.price.applyOptions({});
}

function recolor() {
  const { time, price, adx, atr, threshold } = current;
  time.applyOptions(chartOptions(palette));
  price.applyOptions({ color: palette.muted, priceLineColor: palette.muted });
  adx?.applyOptions({ color: palette.adx });
  atr?.applyOptions({ color: palette.atr });
  threshold?.applyOptions({ color: palette.muted, axisLabelColor: palette.muted });
}

// -- controls -----------------------------------------------------------------------------------

followTheme(byId("theme"), (chosen) => {
  palette = chosen;
  if (!current) return;
  recolor();
  layers();
  legend(current);
});
data.streams.forEach((stream, index) => {
  const option = element("option", "", `${stream.symbol} ${stream.interval}`
    + (stream.price === "last" ? "" : ` ${stream.price}`));
  option.value = index;
  byId("stream").append(option);
});
byId("stream").parentElement.style.display = data.streams.length < 2 ? "none" : "";
byId("stream").addEventListener("change", ({ target }) => show(Number(target.value)));
byId("goto").addEventListener("change", ({ target }) => {
  if (target.value) goTo(Number(target.value));
  target.value = "";
});
for (const [name, bars] of [["200", 200], ["1k", 1000], ["10k", 10000], ["All", null]]) {
  const button = element("button", "", name);
  button.type = "button";
  button.title = bars ? `the last ${bars} bars` : "all bars";
  button.dataset.bars = bars ?? "all";
  button.addEventListener("click", () => showLast(bars));
  byId("spans").append(button);
}
byId("log").addEventListener("click", ({ target }) => {
  isLog = !isLog;
  target.setAttribute("aria-pressed", isLog);
  const { Logarithmic, Normal } = L.PriceScaleMode;
  current.price.priceScale().applyOptions({ mode: isLog ? Logarithmic : Normal });
});
document.addEventListener("keydown", ({ key, target, ctrlKey, metaKey, altKey }) => {
  if (!current || target.tagName === "SELECT" || ctrlKey || metaKey || altKey) return;
  const scale = current.time.timeScale(), { from, to } = scale.getVisibleLogicalRange();
  const wide = to - from, move = (a, b) => scale.setVisibleLogicalRange({ from: from + a, to: to + b });
  const acts = {
    ArrowLeft: () => move(-wide / 5, -wide / 5), ArrowRight: () => move(wide / 5, wide / 5),
    "+": () => move(wide / 6, -wide / 6), "=": () => move(wide / 6, -wide / 6),
    "-": () => move(-wide / 4, wide / 4), a: () => showLast(null),
    Home: () => goTo(0), End: () => goTo(current.stream.slots - 1),
  };
  acts[key]?.();
});
show(0);
