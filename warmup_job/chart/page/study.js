"use strict";
// The chart of a study: the share of wrong starts and of proven ones over the number of bars.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
let palette = PALETTES.light, chosen = data.series.length - 1;

function svg(tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

/** Return a share as a percentage that shows its first digits, however small it is. */
function percent(share) {
  if (share === null) return "–";
  return `${new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 }).format(share * 100)} %`;
}

/** Return the highest end of an axis of shares that leaves no more than half of it empty. */
function ceiling(rows) {
  const most = Math.max(...rows.flatMap((row) => [row.wrong, row.wrong_of_trending ?? 0]));
  return [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1].find((end) => most <= end);
}

function draw() {
  const { rows } = data.series[chosen], plot = byId("plot");
  const box = plot.getBoundingClientRect(), wide = box.width, tall = box.height;
  const left = 66, right = 66, top = 44, bottom = 46;
  const [least, most] = [Math.log(rows[0].bars), Math.log(rows.at(-1).bars)];
  const x = (bars) => (most === least ? wide / 2
    : left + (Math.log(bars) - least) / (most - least) * (wide - left - right));
  const end = ceiling(rows), y = (share, of = 1) => tall - bottom - share / of * (tall - top - bottom);
  plot.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
  const parts = [];
  for (let step = 0; step <= 5; step++) {
    const at = y(step / 5);
    parts.push(svg("line", { x1: left, x2: wide - right, y1: at, y2: at, stroke: palette.border,
      "stroke-width": step ? 0.6 : 1 }));
    parts.push(svg("text", { x: left - 8, y: at + 4, fill: palette.down, "text-anchor": "end" },
      percent(end * step / 5)));
    parts.push(svg("text", { x: wide - right + 8, y: at + 4, fill: palette.proven },
      percent(step / 5)));
  }
  for (const { bars } of rows) {
    parts.push(svg("line", { x1: x(bars), x2: x(bars), y1: top, y2: tall - bottom,
      stroke: palette.border, "stroke-width": 0.6 }));
    parts.push(svg("text", { x: x(bars), y: tall - bottom + 18, fill: palette.text,
      "text-anchor": "middle" }, number(bars)));
  }
  parts.push(svg("text", { x: wide / 2, y: tall - 8, fill: palette.muted, "text-anchor": "middle" },
    "bars to warm up with (logarithmic)"));
  const lines = [["wrong", "share of starts with a wrong regime", palette.down, end, ""],
    ["wrong_of_trending", "of those where either detector says UP or DOWN", palette.slow, end, "5 4"],
    ["proven", "share of starts that are proven (right scale)", palette.proven, 1, ""]];
  lines.forEach(([name, , color, of, dash]) => {
    const points = rows.filter((row) => row[name] !== null)
      .map((row) => [x(row.bars), y(row[name], of), row]);
    parts.push(svg("polyline", { points: points.map(([a, b]) => `${a},${b}`).join(" "), fill: "none",
      stroke: color, "stroke-width": 2, "stroke-dasharray": dash, "data-line": name }));
    for (const [a, b, row] of points) {
      const dot = svg("circle", { cx: a, cy: b, r: 4, fill: color });
      dot.append(svg("title", {}, `${number(row.bars)} bars: ${percent(row[name])}`));
      parts.push(dot);
    }
  });
  let at = left;
  for (const [, label, color, , dash] of lines) {
    parts.push(svg("line", { x1: at, x2: at + 22, y1: 20, y2: 20, stroke: color, "stroke-width": 3,
      "stroke-dasharray": dash }));
    parts.push(svg("text", { x: at + 28, y: 24, fill: palette.text }, label));
    at += 50 + label.length * 6.4;
  }
  plot.replaceChildren(...parts);
}

function figures() {
  const { rows } = data.series[chosen], made = element("table", "figures"), head = element("tr");
  for (const name of ["bars", "wrong", "wrong of trending", "proven"]) {
    head.append(element("th", "number", name));
  }
  made.append(head);
  for (const row of rows) {
    const line = element("tr");
    for (const text of [number(row.bars), percent(row.wrong), percent(row.wrong_of_trending),
      percent(row.proven)]) line.append(element("td", "number", text));
    made.append(line);
  }
  byId("tables").replaceChildren(made);
  byId("facts").replaceChildren();
  const { detector: d } = data;
  for (const [name, text] of [["starts", number(rows[0].starts)],
    ["put to the proof", number(rows[0].certified)],
    ["detector", `EMA ${d.ema_fast}/${d.ema_slow}, ADX ${d.adx_len}, ATR ${d.atr_len}, `
      + `hysteresis ${d.hysteresis_bps} bps`]]) {
    const part = element("span", "", `${name} `);
    part.append(element("b", "", text));
    byId("facts").append(part);
  }
}

function show() {
  figures(); // it takes its room before the plot is measured
  draw();
  document.documentElement.dataset.state = "ready";
}

data.series.forEach(({ name }, index) => {
  const option = element("option", "", name);
  option.value = index;
  byId("series").append(option);
});
byId("series").value = chosen;
byId("series").parentElement.style.display = data.series.length < 2 ? "none" : "";
byId("series").addEventListener("change", ({ target }) => {
  chosen = Number(target.value);
  show();
});
followTheme(byId("theme"), (next) => {
  palette = next;
  show();
});
addEventListener("resize", draw);
