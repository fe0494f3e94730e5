"use strict";
// Shows what /status and /bars answer. All text goes in by textContent, so nothing in it is markup.

const POLL_MS = 1000;
const PATIENCE_MS = 3000; // an answer that takes longer counts as none
const UNITS_MS = { SECOND: 1e3, MINUTE: 6e4, HOUR: 36e5, DAY: 864e5, WEEK: 6048e5 };
const PURPOSES = {
  entry: "entry", take_profit: "take profit", stop_loss: "stop loss", close: "flatten", exit: "exit",
  other: "foreign",
};

const page = document.documentElement;
const at = (id) => document.getElementById(id);
const charts = new Map(); // by instrument
let view = null; // the last answer
let heard = null; // when it came, by both clocks of this browser
let lostWhy = "";

// -- elements and text ----------------------------------------------------------------------------

/** Return an element; attributes that are false or undefined are left out. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((each) => each !== null && each !== undefined && each !== ""));
  return node;
}

/** Draw a node's children again if what they show has changed. */
function draw(node, shown, children) {
  const key = JSON.stringify(shown);
  if (node.shown === key) return;
  node.shown = key;
  node.replaceChildren(...children());
}

/** Return text in which `…` becomes code. */
function withCode(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

function duration(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.floor(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} days`;
}

const clock = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ") + " UTC";
const grouped = (value, decimals) =>
  Number(value).toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });

/** Return an amount of money, with its sign if asked for. */
function money(value, signed = false) {
  const rounded = Math.round(Number(value) * 100) / 100 || 0;
  const sign = rounded < 0 ? "−" : signed && rounded > 0 ? "+" : "";
  return sign + grouped(Math.abs(rounded), 2);
}
const tone = (value) => (Number(value) > 0.004 ? "gain" : Number(value) < -0.004 ? "loss" : "");
const quantity = (value) => (String(value).includes(".") ? String(value).replace(/\.?0+$/, "") : String(value));

function price(market, value) {
  return value === null ? "–" : grouped(value, market.price_precision ?? 2);
}

function middle(market) {
  return market.bid === null ? null : (Number(market.bid) + Number(market.ask)) / 2;
}

// -- the connection to the trader -----------------------------------------------------------------

/** Return for how long there has been no answer, ms. A clock that was set counts as longer. */
function silentMs() {
  return Math.max(performance.now() - heard.monotonic, Date.now() - heard.date);
}

async function poll() {
  try {
    const answer = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) {
      throw new Error(answer.status === 503 ? "too many pages are open" : `HTTP ${answer.status}`);
    }
    receive(await answer.json());
  } catch (error) {
    const late = error.name === "TimeoutError";
    lose(late ? "it does not answer" : error instanceof TypeError ? "no connection" : error.message);
  }
}

async function keepPolling() {
  for (;;) {
    await poll();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function receive(answer) {
  if (view !== null && view.version !== answer.version) location.reload(); // a newer trader
  view = answer;
  heard = { monotonic: performance.now(), date: Date.now() };
  page.dataset.link = "up";
  show();
}

function lose(why) {
  lostWhy = why;
  page.dataset.link = "lost";
  showLost();
}

/** Notice that the answers have stopped, also after this tab or machine has slept. */
function watch() {
  if (heard !== null && page.dataset.link === "up" && silentMs() > PATIENCE_MS + POLL_MS) {
    lose("it does not answer");
  } else if (page.dataset.link === "lost") {
    showLost();
  }
  showAges();
}

// -- the first lines ------------------------------------------------------------------------------

function instruments() {
  const ids = view.markets.map((market) => market.instrument_id);
  return ids.map((id) => id.split(".")[0]).join(", ");
}

function name(title, colour) {
  document.title = title;
  const disc = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="${colour}"/></svg>`;
  const icon = `data:image/svg+xml,${encodeURIComponent(disc)}`;
  if (at("icon").getAttribute("href") !== icon) at("icon").setAttribute("href", icon);
}

function showHeadline(level, state, text, why, remedy) {
  at("headline").dataset.level = level;
  draw(at("state"), state, () => state);
  draw(document.querySelector("h1"), text, () => [text]);
  draw(at("why"), why, () => withCode(why));
  draw(at("remedy"), remedy, () => withCode(remedy));
}

function showLost() {
  if (heard === null) {
    at("link").textContent = "no connection";
    const why = `No report has come yet: ${lostWhy}.`;
    showHeadline("bad", ["not known"], "The trader cannot be reached", why, advice());
    name("✖ no trader", "#c1121f");
    return;
  }
  const age = duration(silentMs());
  at("link").textContent = `last report ${age} ago`;
  const said = `${view.headline.text}${view.headline.why ? ` (${view.headline.why})` : ""}`;
  showHeadline(
    "bad", ["not known"], "The trader cannot be reached",
    `What is grey below is ${age} old: ${lostWhy}. Its last report said: ${said}.`, advice(),
  );
  name(`✖ not reachable · ${instruments()}`, "#c1121f");
}

function advice() {
  return "If it has ended, its log says why: start it again. Orders at the exchange stay as they were: " +
    "stop losses still protect, but a fill gets no new one.";
}

const ICONS = { good: ["●", "#1a9c5b"], wait: ["◌", "#e8b339"], held: ["‖", "#e8b339"], bad: ["✖", "#c1121f"], ended: ["■", "#808a94"] };

function show() {
  const { report, headline } = view;
  at("link").textContent = "connected";
  const [sign, colour] = ICONS[headline.level];
  name(`${sign} ${headline.text} · ${instruments()}`, colour);
  const since = ["trader is ", make("strong", {}, report.state), " since ", clock(report.since_ms), " (", age(report.since_ms), ")"];
  showHeadline(headline.level, since, headline.text, headline.why, headline.remedy);
  const kind = report.mode === "paper" ? "paper" : view.is_real ? "real" : "test";
  at("mode").dataset.mode = kind;
  at("mode").textContent = { paper: "PAPER", real: "LIVE ORDERS", test: `${view.place.split(" ").pop().toUpperCase()} ORDERS` }[kind];
  at("place").textContent = `${view.place} · ${instruments() || "no instrument yet"}`;
  draw(at("alarms"), view.alarms, () => view.alarms.map((alarm) =>
    make("li", { class: "alarm" }, make("strong", {}, alarm.text), make("span", {}, ...withCode(alarm.remedy)))));
  showMarkets();
  showAccount();
  showStreams();
  showChanges();
  showDetails();
  showAges();
}

/** Return an element that shows how long ago a time of the trader's clock is. */
function age(ms) {
  return make("span", { "data-then": String(ms) }, ageText(ms));
}

function ageText(ms) {
  return `${duration(view.report.at_ms + silentMs() - ms)} ago`;
}

function showAges() {
  if (view === null) return;
  for (const node of document.querySelectorAll("[data-then]")) {
    const text = ageText(Number(node.dataset.then));
    if (node.textContent !== text) node.textContent = text;
  }
}

// -- one section for each instrument --------------------------------------------------------------

function showMarkets() {
  const { markets, report } = view;
  const ids = markets.map((market) => market.instrument_id);
  if (at("markets").shown !== ids.join()) {
    at("markets").shown = ids.join();
    charts.clear();
    at("markets").replaceChildren(...markets.map((market) => section(market)));
  }
  markets.forEach((market, index) => {
    const grids = report.grids.filter((grid) => grid.instrument_id === market.instrument_id);
    const node = at("markets").children[index];
    showTitle(node.querySelector("header"), market, grids);
    showTiles(node.querySelector(".tiles"), market, grids);
    showLadder(node.querySelector(".scroll"), market);
    showChart(node.querySelector(".chart"), market);
  });
}

function section(market) {
  const key = (tone, text) => make("span", { "data-tone": tone }, text);
  return make(
    "section", { class: "market", "data-instrument": market.instrument_id },
    make("header"),
    make("div", { class: "tiles" }),
    make("div", { class: "views" },
      make("div", {},
        make("h3", {}, "Price and open orders"),
        make("div", { class: "chart" }),
        make("p", { class: "legend" }, key("long", "entry LONG"), key("short", "entry SHORT"),
          key("target", "take profit"), key("stop", "stop loss"), key("other", "foreign"))),
      make("div", {}, make("h3", {}, "Ladder"), make("div", { class: "scroll", tabindex: "0" }))),
  );
}

function showTitle(node, market, grids) {
  const shown = [market.bid, market.ask, grids.map((grid) => [grid.regime, grid.block_reason]), view.report.trading];
  draw(node, shown, () => [
    make("h2", {}, market.instrument_id),
    make("span", { class: "price" }, middle(market) === null ? "no price yet" : price(market, middle(market))),
    make("span", { class: "soft" }, market.bid === null ? "" : `${price(market, market.bid)} / ${price(market, market.ask)}`),
    ...grids.map((grid) => make("span", { class: "chip" }, `regime ${grid.regime}`)),
    ...(grids.length ? grids : [{ block_reason: "" }]).map((grid) => entriesChip(grid)),
  ]);
}

function entriesChip(grid) {
  if (!view.report.trading) return make("span", { class: "chip", "data-level": "held" }, "entries are held back");
  const text = grid.block_reason ? `no entries: ${grid.block_reason}` : "entries may leave";
  return make("span", { class: "chip", "data-level": grid.block_reason ? "held" : "good" }, text);
}

function tile(title, big, className, ...lines) {
  return make("div", { class: "tile" }, make("h3", {}, title), make("p", { class: `big ${className}` }, big),
    ...lines.map((line) => make("p", { class: "soft" }, ...[line].flat())));
}

function showTiles(node, market, grids) {
  draw(node, [grids, market.positions, market.base_currency], () => grids.length
    ? grids.flatMap((grid) => gridTiles(grid, market))
    : market.positions.length
      ? market.positions.map((position) => positionTile(position, market))
      : [tile("Position", "none", "")]);
}

function gridTiles(grid, market) {
  const quote = grid.quote_currency;
  const result = Number(grid.realised) - Number(grid.fees) + Number(grid.funding) + Number(grid.unrealised);
  const tiles = [
    tile("Profit", `${money(result, true)} ${quote}`, tone(result),
      `realised ${money(grid.realised, true)}, unrealised ${money(grid.unrealised, true)}`,
      `fees paid ${money(grid.fees)}, funding ${money(grid.funding, true)}`, "since the first start"),
    tile("Equity", grid.equity === null ? "not known yet" : `${money(grid.equity)} ${quote}`, "",
      `drawdown ${money(grid.drawdown_pct)} %`,
      grid.is_stopped ? make("span", { class: "bare" }, "the drawdown limit has stopped all entries") : "",
      grid.result_at_ms === null ? "" : ["account read ", age(grid.result_at_ms)]),
  ];
  for (const [book, figures] of Object.entries(grid.books)) {
    const held = Number(figures.quantity) !== 0;
    const bare = Number(figures.unprotected) !== 0;
    const why = figures.unprotected_why ? `: ${figures.unprotected_why}` : "";
    tiles.push(tile(`Inventory ${book}`, `${quantity(figures.quantity)} ${grid.base_currency}`, "",
      held ? ["at ", price(market, figures.entry_price), ", ",
        make("span", { class: tone(figures.unrealised) }, `${money(figures.unrealised, true)} ${quote}`)] : "",
      bare ? make("span", { class: "bare" }, `${quantity(figures.unprotected)} ${grid.base_currency} WITHOUT A STOP LOSS${why}`)
        : held ? "all of it has a stop loss" : ""));
  }
  const counts = Object.entries(grid.open_orders).filter(([, count]) => count);
  tiles.push(tile("Open orders", String(counts.reduce((sum, [, count]) => sum + count, 0)), "",
    counts.map(([kind, count]) => `${count} ${PURPOSES[kind]}`).join(", ")));
  return tiles;
}

function positionTile(position, market) {
  const gain = position.unrealised;
  return tile(`Position ${position.side}`, `${quantity(position.quantity)} ${market.base_currency}`, "",
    ["at ", price(market, position.entry_price), gain === null ? "" : ", ",
      gain === null ? "" : make("span", { class: tone(gain) }, `${money(gain, true)} ${market.quote_currency}`)],
    position.strategy);
}

// -- the ladder -----------------------------------------------------------------------------------

function toneOf(order) {
  if (order.purpose === "entry") return order.book.toLowerCase();
  if (order.purpose === "stop_loss") return "stop";
  return order.purpose === "other" ? "other" : "target";
}

function showLadder(node, market) {
  const now = middle(market);
  const before = node.querySelector(".now");
  draw(node, [market.orders, market.orders_left_out, market.positions, now], () => [
    market.orders.length || market.positions.length || now !== null ? ladder(market, now) : make("p", { class: "soft" }, "No open order and no price yet."),
    market.orders_left_out ? make("p", { class: "soft" }, `and ${market.orders_left_out} more order(s)`) : "",
  ].filter(Boolean));
  const row = node.querySelector(".now");
  if (row !== null && before === null) node.scrollTop = row.offsetTop - node.clientHeight / 2;
}

function ladder(market, now) {
  const rows = market.orders.map((order) => [order.price === null ? -Infinity : Number(order.price), orderRow(order, market, now)]);
  rows.push(...market.positions.map((position) => [position.entry_price, holdingRow(position, market, now)]));
  if (now !== null) rows.push([now, nowRow(market, now)]);
  rows.sort(([one], [two]) => two - one);
  const head = ["Price", "Away", "Order", "Quantity"].map((text, index) => make("th", { class: index === 2 ? "" : "num" }, text));
  return make("table", { class: "ladder" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows.map(([, row]) => row)));
}

function away(value, now) {
  return now === null || value === null ? "" : `${value >= now ? "+" : "−"}${Math.abs((value / now - 1) * 100).toFixed(2)} %`;
}

function nowRow(market, now) {
  return make("tr", { class: "now" }, make("td", { class: "num" }, price(market, now)), make("td", { class: "num" }, "now"),
    make("td", { colspan: "2" }, market.orders.length ? "" : "no open orders"));
}

function holdingRow(position, market, now) {
  return make("tr", { class: "holding", title: position.id },
    make("td", { class: "num" }, price(market, position.entry_price)),
    make("td", { class: "num soft" }, away(position.entry_price, now)),
    make("td", {}, `holds ${position.side}, average`),
    make("td", { class: "num" }, quantity(position.quantity)));
}

function orderRow(order, market, now) {
  const value = order.price === null ? null : Number(order.price);
  const lot = order.lot ? make("span", { class: "soft lot" }, order.lot) : "";
  const what = `${PURPOSES[order.purpose]} ${order.book}${order.is_cancelling ? " …" : ""}`;
  return make("tr", { "data-purpose": order.purpose, "data-tone": toneOf(order), title: `${order.id}${order.is_cancelling ? ", being cancelled" : ""}`, class: order.is_cancelling ? "cancelling" : false },
    make("td", { class: "num" }, value === null ? "market" : price(market, value)),
    make("td", { class: "num soft" }, away(value, now)),
    make("td", {}, make("span", {}, what), " ", lot),
    make("td", { class: "num" }, quantity(order.quantity)));
}

// -- the chart ------------------------------------------------------------------------------------

function colour(token) {
  return getComputedStyle(page).getPropertyValue(`--${token}`).trim();
}

/** Return the stream with the shortest bars of an instrument, and their length, ms. */
function barsOf(market) {
  const found = view.report.streams
    .filter((stream) => stream.bar_type.startsWith(`${market.instrument_id}-`))
    .map((stream) => ({ stream, spanMs: spanMs(stream.bar_type) }));
  return found.sort((one, two) => one.spanMs - two.spanMs)[0];
}

function spanMs(barType) {
  const match = /-(\d+)-([A-Z]+)-/.exec(barType);
  return match ? Number(match[1]) * (UNITS_MS[match[2]] ?? 2592e6) : Infinity;
}

function showChart(node, market) {
  const bars = barsOf(market);
  if (bars === undefined) {
    draw(node, "none", () => [make("p", { class: "soft" }, "There are no bars of this instrument.")]);
    return;
  }
  let chart = charts.get(market.instrument_id);
  if (chart === undefined) {
    chart = newChart(node, market);
    charts.set(market.instrument_id, chart);
  }
  chart.market = market;
  showLines(chart);
  if (chart.closeMs !== bars.stream.contiguous_to_ms && !chart.loading) loadBars(chart, bars);
}

function newChart(node, market) {
  const made = LightweightCharts.createChart(node, {
    autoSize: true,
    layout: { attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily },
    timeScale: { timeVisible: true, rightOffset: 6 },
    localization: { locale: "en-US" },
  });
  const precision = market.price_precision ?? 2;
  const chart = { made, lines: new Map(), market, closeMs: -1, loading: false };
  chart.series = made.addSeries(LightweightCharts.CandlestickSeries, {
    priceFormat: { type: "price", precision, minMove: 1 / 10 ** precision },
    priceLineVisible: false,
    lastValueVisible: false,
    autoscaleInfoProvider: (original) => withOrders(original(), chart.market),
  });
  paint(chart);
  return chart;
}

/** Widen the visible prices to the orders that are at most 5 % away. */
function withOrders(info, market) {
  const now = middle(market);
  if (info === null || now === null) return info;
  const near = market.orders.filter((order) => order.price !== null && Math.abs(order.price / now - 1) < 0.05);
  const values = [now, ...near.map((order) => Number(order.price))];
  info.priceRange.minValue = Math.min(info.priceRange.minValue, ...values);
  info.priceRange.maxValue = Math.max(info.priceRange.maxValue, ...values);
  return info;
}

function paint(chart) {
  const line = colour("line");
  chart.made.applyOptions({
    layout: { background: { color: colour("card") }, textColor: colour("soft") },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    timeScale: { borderColor: line },
    rightPriceScale: { borderColor: line },
  });
  const [up, down] = [colour("up"), colour("down")];
  chart.series.applyOptions({ upColor: up, wickUpColor: up, borderUpColor: up, downColor: down, wickDownColor: down, borderDownColor: down });
  for (const drawn of chart.lines.values()) chart.series.removePriceLine(drawn.line);
  chart.lines.clear();
  showLines(chart);
}

function showLines(chart) {
  const { LineStyle } = LightweightCharts;
  const wanted = new Map(chart.market.orders.filter((order) => order.price !== null).map((order) => [order.id, {
    price: Number(order.price), color: colour(toneOf(order)), lineWidth: 1, title: "", axisLabelVisible: false,
    lineStyle: order.purpose === "entry" ? LineStyle.Solid : LineStyle.Dashed,
  }]));
  const now = middle(chart.market);
  if (now !== null) {
    wanted.set("now", { price: now, color: colour("ink"), lineWidth: 1, lineStyle: LineStyle.Dotted, title: "now", axisLabelVisible: true });
  }
  for (const [id, drawn] of chart.lines) {
    if (!wanted.has(id)) {
      chart.series.removePriceLine(drawn.line);
      chart.lines.delete(id);
    }
  }
  for (const [id, options] of wanted) {
    const drawn = chart.lines.get(id);
    if (drawn === undefined) chart.lines.set(id, { line: chart.series.createPriceLine(options), price: options.price });
    else if (drawn.price !== options.price) {
      drawn.line.applyOptions(options);
      drawn.price = options.price;
    }
  }
}

async function loadBars(chart, bars) {
  chart.loading = true;
  try {
    const path = `bars?type=${encodeURIComponent(bars.stream.bar_type)}`;
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) return;
    const rows = await answer.json();
    chart.series.setData(rows.map(([closeMs, open, high, low, close]) => ({
      time: Math.round((closeMs + 1 - bars.spanMs) / 1000), open, high, low, close,
    })));
    if (chart.closeMs < 0) chart.made.timeScale().setVisibleLogicalRange({ from: rows.length - 120, to: rows.length + 6 });
    chart.closeMs = bars.stream.contiguous_to_ms;
  } catch {
    // The next status says whether the trader can be reached; the bars come with it.
  } finally {
    chart.loading = false;
  }
}

// -- account, streams and details -----------------------------------------------------------------

function showAccount() {
  const { account } = view.report;
  at("account").hidden = account === null;
  if (account === null) return;
  draw(at("account"), account, () => [
    make("h2", {}, "Account"),
    make("p", { class: account.state === "ok" ? "gain" : "bare" },
      account.state === "ok" ? "agrees with the exchange" : `${account.state}: ${account.why}`),
    make("p", { class: "soft" }, account.event_age_ms === null ? "the user data stream has sent nothing yet"
      : `last event of the user data stream ${duration(account.event_age_ms)} ago`),
    ...account.differences.map((line) => make("p", {}, line)),
    ...account.other_traders.map((other) => make("p", { class: "bare" }, other.text)),
  ]);
}

function showStreams() {
  const { streams } = view.report;
  at("streams").hidden = streams.length === 0;
  const head = ["Stream", "State", "Last bar closed", "Websocket", "Bars"];
  draw(at("streams"), streams, () => [
    make("h2", {}, "Streams"),
    make("table", { class: "streams" },
      make("thead", {}, make("tr", {}, ...head.map((text) => make("th", {}, text)))),
      make("tbody", {}, ...streams.map((stream) => {
        const bars = `${stream.history_bars} history, ${stream.filled_bars} fetched since, ${stream.live_bars} live`;
        const heardAt = stream.silent_ms === null ? "never heard" : `heard ${duration(stream.silent_ms)} ago`;
        const cells = [stream.bar_type, stream.why_not || stream.phase, age(stream.contiguous_to_ms), heardAt, bars];
        return make("tr", {}, ...cells.map((cell, index) => make("td", {
          "data-name": index ? head[index] : "", class: index === 1 && stream.why_not ? "bare" : false,
        }, cell)));
      }))),
  ]);
}

function showChanges() {
  const { changes } = view;
  at("changes").hidden = changes.length === 0;
  draw(at("changes"), changes, () => [
    make("h2", {}, "What has happened"),
    make("dl", {}, ...changes.flatMap((change) => [
      make("dt", {}, clock(change.at_ms)),
      make("dd", {}, make("strong", {}, change.state), change.why ? `: ${change.why}` : "", " (", age(change.at_ms), ")"),
    ])),
  ]);
}

function showDetails() {
  const { report, snapshots, version } = view;
  const refused = report.rejections.map((each) => `${each.count}× ${each.kind} ${each.code}`).join(", ");
  const facts = [
    ["Operator", report.operator],
    ["Snapshot", snapshots.length === 0 ? "none: the trader fetched its history itself"
      : snapshots.flatMap((each) => [make("span", {}, each.id, " (made ", age(each.created_ms), ") ")])],
    ["Started", [clock(report.started_ms), " (", age(report.started_ms), ")"]],
    ["First live", report.live_after_s === null ? "not yet" : `${report.live_after_s.toFixed(1)} s after the start`],
    ["Open", `${report.orders_open} order(s), ${report.positions_open} position(s)`],
    ["Refused orders", refused || "none"],
    ["Version", `warmup-job ${version}`],
  ];
  at("details").hidden = false;
  draw(at("details"), [report.operator, snapshots, report.started_ms, report.live_after_s, report.orders_open, report.positions_open, refused, version],
    () => [make("h2", {}, "Details"),
      make("dl", {}, ...facts.flatMap(([term, fact]) => [make("dt", {}, term), make("dd", {}, ...[fact].flat())]))]);
}

// -- begin ----------------------------------------------------------------------------------------

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(paint));
for (const event of ["visibilitychange", "pageshow", "focus"]) addEventListener(event, watch);
document.addEventListener("visibilitychange", watch);
setInterval(watch, 500);
keepPolling();
