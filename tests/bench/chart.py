"""How fast `warmup-job chart` is, and the page in a headless Chromium without a GPU.

    .venv/bin/python -m tests.bench.chart [BARS]

It makes a snapshot of a random walk, writes its chart, loads it, and moves it for 120 frames at
three widths. Prints one JSON object; times are ms. `cpu_ms` is the page's own thread per frame:
unlike the other times it does not grow when other programs use the machine.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from tests.support.chromium import Page, running_chromium
from tests.support.drawn_snapshots import publish_walk
from warmup_job.chart.snapshot_chart import chart_file, snapshot_chart

PAN = """(async (bars) => {
  const scale = current.time.timeScale(), last = current.stream.slots, times = [];
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  for (let step = 0; step < 120; step++) {
    const began = performance.now(), from = (last - bars) * step / 120;
    scale.setVisibleLogicalRange({ from, to: from + bars });
    await frame();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return { median: times[60], p95: times[114], most: times[119] };
})"""
"""A frame: from the new range until it is on the canvas, which includes the wait for the frame."""


def panned(page: Page, width: int) -> dict[str, float]:
    """Move the chart with this many bars in view; return the times of a frame."""
    page.send("Performance.enable", timeDomain="threadTicks")
    before = busy_ms(page)
    found: dict[str, float] = page.evaluate(f"{PAN}({width})")
    found["cpu_ms"] = (busy_ms(page) - before) / 120
    page.send("Performance.disable")
    return found


def busy_ms(page: Page) -> float:
    """Return for how long the page's thread has worked."""
    metrics = {
        each["name"]: each["value"] for each in page.send("Performance.getMetrics")["metrics"]
    }
    return float(metrics["TaskDuration"]) * 1000


def measured(bars: int) -> dict[str, object]:
    """Return what was measured with this many bars."""
    with tempfile.TemporaryDirectory() as folder:
        root, file = Path(folder) / "volume", Path(folder) / "chart.html"
        publish_walk(root, bars)
        began = time.perf_counter()
        file.write_text(chart_file(snapshot_chart(root)))
        written = time.perf_counter() - began
        with running_chromium() as chromium, chromium.page(file, offline=True) as page:
            page.wait_for("document.documentElement.dataset.state === 'ready'")
            mark = "performance.getEntriesByName('{}')[0].startTime"
            return {
                "bars": bars,
                "file_bytes": file.stat().st_size,
                "written_ms": written * 1000,
                "first_draw_ms": page.evaluate(mark.format("first-draw-0")),
                "whole_axis_ms": page.evaluate(mark.format("whole-0")),
                "heap_mb": page.evaluate("performance.memory.usedJSHeapSize / 1e6"),
                "pan": {width: panned(page, width) for width in (300, 10_000, bars - 1)},
                "elements": page.evaluate("document.querySelectorAll('*').length"),
                "problems": page.problems,
            }


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000), indent=1))
