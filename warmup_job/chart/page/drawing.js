"use strict";
// What every page shares: packed columns, number formats, and the two themes.

const PALETTES = {
  light: {
    background: "#ffffff", text: "#1b2430", grid: "#eef1f5", border: "#d5dbe3", muted: "#5d6b7c",
    up: "#0a8f79", down: "#e0294a", wait: "#8a94a3", fast: "#2962ff", slow: "#e07b00",
    adx: "#7a4fc9", atr: "#00838f", buy: "#0057d9", sell: "#b3008f", proven: "#1f7a1f",
    bands: ["", "rgba(10,143,121,0.13)", "rgba(224,41,74,0.11)", "rgba(120,132,150,0.10)"],
    hatch: "rgba(90,104,124,0.22)", gap: "rgba(224,123,0,0.45)", volume: 0.38, label: "#ffffff",
  },
  dark: {
    background: "#131722", text: "#d5dae3", grid: "#1d2330", border: "#2d3546", muted: "#98a3b5",
    up: "#26a69a", down: "#f0525f", wait: "#7d8798", fast: "#5b9cff", slow: "#ffb04d",
    adx: "#b39ddb", atr: "#4dd0e1", buy: "#64b5ff", sell: "#ff7ddb", proven: "#7ad67a",
    bands: ["", "rgba(38,166,154,0.17)", "rgba(240,82,95,0.15)", "rgba(140,152,172,0.10)"],
    hatch: "rgba(160,172,192,0.26)", gap: "rgba(255,176,77,0.45)", volume: 0.42, label: "#10141d",
  },
};

/** Return the column's numbers; those that are missing at its start are NaN. */
async function unpack(column) {
  const { skip, count, decimals } = column;
  const values = new Float64Array(skip + count).fill(NaN, 0, skip);
  if (count === 0) return values;
  const text = atob(column.data);
  const packed = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) packed[at] = text.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const down = 10 ** Math.max(decimals, 0), up = 10 ** Math.max(-decimals, 0);
  let whole = 0;
  for (let at = 0; at < count; at++) {
    whole += bytes[at] | bytes[count + at] << 8 | bytes[2 * count + at] << 16
      | bytes[3 * count + at] << 24;
    values[skip + at] = whole / down * up;
  }
  return values;
}

const grouped = new Map();
/** Return a number with this many decimals and with commas; an en dash for none. */
function number(value, decimals = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!grouped.has(decimals)) {
    const fixed = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    grouped.set(decimals, new Intl.NumberFormat("en-US", fixed));
  }
  return grouped.get(decimals).format(value);
}

/** Return UTC ms as 2026-01-31 12:00, with seconds if there are any. */
function utc(ms) {
  const text = new Date(ms).toISOString().replace("T", " ");
  return text.slice(17, 19) === "00" ? text.slice(0, 16) : text.slice(0, 19);
}

/** Return an element with a class and a text. */
function element(tag, kind = "", text = "") {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

/** Follow what the system prefers until the button chooses the other theme. */
function followTheme(button, apply) {
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  let chosen = "";
  const set = () => {
    const name = chosen || (prefers.matches ? "dark" : "light");
    document.documentElement.dataset.theme = name;
    button.textContent = name === "dark" ? "Light" : "Dark";
    apply(PALETTES[name]);
  };
  prefers.addEventListener("change", set);
  button.addEventListener("click", () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    set();
  });
  set();
}

/** Return the options of a chart in this theme. */
function chartOptions(palette) {
  return {
    layout: {
      background: { type: "solid", color: palette.background }, textColor: palette.text,
      fontFamily: "system-ui, sans-serif", fontSize: 12, attributionLogo: true,
      panes: { separatorColor: palette.border, separatorHoverColor: palette.hatch },
    },
    grid: { vertLines: { color: palette.grid }, horzLines: { color: palette.grid } },
    crosshair: {
      vertLine: { color: palette.muted, labelBackgroundColor: palette.muted },
      horzLine: { color: palette.muted, labelBackgroundColor: palette.muted },
    },
    rightPriceScale: { borderColor: palette.border },
    timeScale: { borderColor: palette.border },
  };
}

/** Draws on one pane of a chart, below (`bottom`), among (`normal`) or above (`top`) its series. */
class Layer {
  constructor(order, draw) {
    const renderer = { draw: (target) => target.useBitmapCoordinateSpace(draw) };
    this.views = [{ zOrder: () => order, renderer: () => renderer }];
  }

  attached({ requestUpdate }) {
    this.refresh = requestUpdate;
  }

  paneViews() {
    return this.views;
  }
}
