"""`warmup-job chart`: what the file shows, drawn in a real browser, and what it must not do."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.chromium import Chromium, Page
from tests.support.commands import job
from tests.support.drawn_snapshots import DETECTOR, publish_walk, walk
from tests.support.snapshots import MINUTE_MS, START
from tests.support.suite import REPO
from warmup_job.catalog.packed_bars import VALUES
from warmup_job.chart.packed_column import PackedColumn, pack_column
from warmup_job.chart.snapshot_chart import SnapshotChart, chart_file, snapshot_chart
from warmup_job.handoff.reporting.journal_entries import (
    JournalEntry,
    OrderEnded,
    OrderFill,
    OrderOpened,
    StateEntered,
    journal_path,
)
from warmup_job.regime.detector import DetectorBar, RegimeDetector

COUNT, MISSING, REVISED = 1500, range(600, 660), 1400
READY = "document.documentElement.dataset.state === 'ready'"
PIXELS = """(() => {
  const canvas = current.time.takeScreenshot(true);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const found = {};
  for (const [name, color] of Object.entries(palette)) {
    if (!/^#/.test(color)) continue;
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    found[name] = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at] === r && data[at + 1] === g && data[at + 2] === b) found[name]++;
    }
  }
  return found;
})()"""
"""Counts the pixels of the chart that have exactly a color of the theme."""


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume with two snapshots; the newer one has another volume for one bar."""
    root = tmp_path_factory.mktemp("volume")
    publish_walk(root, COUNT, MISSING)
    publish_walk(root, COUNT, MISSING, bars=walk(COUNT, MISSING, {REVISED}), at_s=60)
    return root


@pytest.fixture(scope="module")
def chart(volume: Path) -> SnapshotChart:
    return snapshot_chart(volume)


@pytest.fixture(scope="module")
def file(chart: SnapshotChart, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chart") / "chart.html"
    path.write_text(chart_file(chart))
    return path


def facts(page: Page) -> str:
    return str(page.evaluate("document.getElementById('facts').innerText"))


def unpacked(column: PackedColumn) -> list[float]:
    """Decode a column as the page does."""
    values = [float("nan")] * column.skip
    if column.count:
        planes = np.frombuffer(zlib.decompress(base64.b64decode(column.data)), np.uint8)
        steps = np.ascontiguousarray(planes.reshape(4, -1).T).view("<i4").ravel()
        values += (np.cumsum(steps.astype(np.int64)) / 10.0**column.decimals).tolist()
    return values


@given(
    st.lists(st.decimals(0, 10**13, places=4, allow_nan=False).map(float), max_size=30),
    st.integers(0, 3), st.integers(0, 16),
)  # fmt: skip
def test_a_packed_column_keeps_every_digit_that_there_is_room_for(
    values: list[float], missing: int, decimals: int
) -> None:
    column = pack_column(np.array([float("nan")] * missing + values), decimals)
    back = unpacked(column)
    assert np.isnan(back[:missing]).all()
    assert column.decimals <= decimals
    assert back[missing:] == pytest.approx(values, abs=0.51 * 10.0**-column.decimals, rel=1e-9)
    if values and max(values) < 100_000 and decimals <= 4:
        assert column.decimals == decimals


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_bars_indicators_and_proof_are_drawn_without_a_problem(
    chromium: Chromium, file: Path, theme: Any
) -> None:
    with chromium.page(file, theme=theme, offline=True) as page:
        page.wait_for(READY)
        page.evaluate("showLast(null)")
        pixels = page.wait_for(f"(pixels => pixels.proven > 50 && pixels)({PIXELS})")
        for name in ("up", "down", "fast", "slow", "adx", "atr", "background"):
            assert pixels[name] > 50, f"nothing is drawn in the color of {name}"
        assert page.problems == []
        assert page.requests == [file.as_uri()]
        other = "light" if theme == "dark" else "dark"
        before = page.evaluate("palette.background")
        page.click("#theme")
        assert page.evaluate("document.documentElement.dataset.theme") == other
        assert page.evaluate("current.time.options().layout.background.color") != before
        assert page.problems == []


COARSE = """(() => {
  const { columns, absent } = current.loaded;
  return Object.keys(columns).filter((name) => {
    const values = columns[name], groups = groupsOf(values, absent);
    return !groups.low.every((_, group) => {
      const at = [...Array(groups.size).keys()].map((each) => group * groups.size + each);
      const there = at.filter((slot) => values[slot] === values[slot] && absent[slot] === 0);
      const found = there.map((slot) => values[slot]);
      const wanted = found.length
        ? [Math.min(...found), Math.max(...found), found[0], found.at(-1)] : Array(4).fill(NaN);
      return [groups.low, groups.high, groups.first, groups.last].every((each, part) =>
        Object.is(each[group], wanted[part]));
    });
  });
})()"""
"""Names the columns of which a group has other extremes or ends than its bars."""


@pytest.mark.browser
def test_many_bars_in_a_pixel_are_drawn_from_groups_of_them(chromium: Chromium, file: Path) -> None:
    with chromium.page(file) as page:
        page.wait_for(READY)
        assert page.evaluate(COARSE) == []
        few_pixels = "current.time.timeScale().options().barSpacing"
        page.evaluate("current.time.timeScale().setVisibleLogicalRange({ from: -30000, to: 1600 })")
        page.wait_for(f"{few_pixels} < 1 / GROUP")
        pixels = page.wait_for(f"(pixels => pixels.fast && pixels)({PIXELS})")
        for name in ("up", "down", "fast", "slow", "adx", "atr"):
            assert pixels[name], f"nothing is drawn in the color of {name}"
        assert page.problems == []


@pytest.mark.browser
def test_values_are_those_of_the_bars_and_of_our_detector(
    chromium: Chromium, file: Path, volume: Path
) -> None:
    bars = walk(COUNT, MISSING, {REVISED})
    detector = RegimeDetector(DETECTOR)
    said = [
        (
            detector.update(DetectorBar._make((*map(float, row), None))),
            detector.ema_fast,
            detector.adx,
        )
        for row in zip(*(getattr(bars, name) for name in VALUES), strict=True)
    ]
    with chromium.page(file) as page:
        page.wait_for(READY)
        for bar in (0, 20, 599, 600, len(said) - 1):
            slot = bar if bar < MISSING.start else bar + len(MISSING)
            close, volume_, fast, adx, regime = page.evaluate(
                f"(({{columns: c, regime}}) => [c.close[{slot}], c.volume[{slot}],"
                f" c.ema_fast[{slot}], c.adx[{slot}], REGIMES[regime[{slot}]]])(current.loaded)"
            )
            assert (close, volume_) == (float(bars.close[bar]), float(bars.volume[bar]))
            assert fast == (said[bar][1] and pytest.approx(said[bar][1], abs=1e-4))
            assert adx == (said[bar][2] and pytest.approx(said[bar][2], abs=0.006))
            assert regime == said[bar][0].value


@pytest.mark.browser
def test_gaps_revised_bars_and_the_proof_are_named(
    chromium: Chromium, file: Path, chart: SnapshotChart
) -> None:
    (stream,) = chart.streams
    assert [(each.at, each.bars, each.why) for each in stream.absent] == [(600, 60, "gap")]
    assert [each.at for each in stream.revised] == [REVISED]
    assert stream.proof is not None
    assert stream.proof.proven_at is not None
    with chromium.page(file, width=1400) as page:
        page.wait_for(READY)
        assert "gaps 1 (60 bars)" in facts(page)
        assert "revised by Binance 1 bars" in facts(page)
        assert "proven from" in facts(page)
        legend = "document.querySelector('.legend').innerText"
        for slot, text in (
            (610, "Binance lacks 60"), (REVISED, "revised; "), (0, "not yet proven"),
        ):  # fmt: skip
            page.evaluate(f"current.hovered = {slot}, legend(current)")
            assert text in page.evaluate(legend)
        assert page.evaluate("[...document.querySelectorAll('#goto option')].length") == 6
        page.evaluate(f"goTo({stream.proof.proven_at})")
        page.wait_for(
            f"(seen => seen.from < {stream.proof.proven_at} && seen.to > {stream.proof.proven_at})"
            "(current.time.timeScale().getVisibleLogicalRange())"
        )


@pytest.mark.browser
def test_the_crosshair_shows_the_values_of_a_bar(chromium: Chromium, file: Path) -> None:
    with chromium.page(file) as page:
        page.wait_for(READY)
        last = page.evaluate("document.querySelector('.legend').innerText")
        page.mouse("mouseMoved", 300, 300)
        page.wait_for(f"document.querySelector('.legend').innerText !== {last!r}")
        page.mouse("mouseWheel", 300, 300, deltaX=0, deltaY=400)
        page.wait_for("current.time.timeScale().options().barSpacing < 6")
        page.click("button[data-layer=volume]")
        page.click("#log")
        assert page.problems == []


@pytest.mark.browser
def test_several_streams_have_a_selector_and_text_from_files_is_only_text(
    chromium: Chromium, chart: SnapshotChart, tmp_path: Path
) -> None:
    evil = "</script><script>window.hacked = 1</script><!--<img src=x onerror=window.hacked=1>"
    (stream,) = chart.streams
    second = msgspec.structs.replace(
        stream, symbol=evil, instrument_id=evil, interval="1h", detector=None, regimes=[],
        proof=None,
        columns={name: stream.columns[name] for name in ("time", *VALUES)},
    )  # fmt: skip
    path = tmp_path / "two.html"
    both = msgspec.structs.replace(chart, streams=[stream, second], degraded=[evil])
    path.write_text(chart_file(both))
    with chromium.page(path) as page:
        page.wait_for(READY)
        page.evaluate(
            "(select => { select.value = 1; select.dispatchEvent(new Event('change')); })"
            "(document.getElementById('stream'))"
        )
        page.wait_for(f"current.stream.interval === '1h' && {READY}")
        assert page.evaluate("current.time.panes().length") == 1
        assert evil in page.evaluate("document.getElementById('title').textContent")
        assert evil in page.evaluate("document.getElementById('facts').textContent")
        assert page.evaluate("window.hacked === undefined")
        assert page.problems == []
        page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
        assert any("Content Security Policy" in each for each in page.problems)


@pytest.mark.browser
def test_what_a_trader_did_is_drawn_also_after_the_last_bar(
    chromium: Chromium, volume: Path, tmp_path: Path
) -> None:
    def at_ms(slot: int) -> int:
        return START + slot * MINUTE_MS

    def lines() -> list[JournalEntry]:
        who: dict[str, Any] = {
            "instrument": "BTCUSDT-PERP.BINANCE",
            "book": "LONG",
            "quantity": "0.010",
        }
        entry = {"order": "E", "side": "BUY", "closes": False, **who}
        leaving = {"order": "X", "side": "SELL", "closes": True, **who}
        traded: dict[str, Any] = {"fee": "0.1 USDT", "maker": True}
        return [
            StateEntered(at_ms(1300), "live", ""),
            OrderOpened(at_ms=at_ms(1301), type="LIMIT", price="63000.00", **entry),
            OrderFill(at_ms=at_ms(1310), trade="1", price="63000.00", **traded, **entry),
            OrderEnded(at_ms(1310), "E", "filled"),
            OrderFill(at_ms=at_ms(COUNT + 9), trade="2", price="63100.00", **traded, **leaving),
        ]

    journal = journal_path(tmp_path, "paper")
    journal.write_bytes(b"\n".join(map(msgspec.json.encode, lines())))
    output = tmp_path / "c.html"
    done = job("chart", volume, "--state", tmp_path, "--output", output)
    assert done.code == 0, done.err
    with chromium.page(output, width=1400) as page:
        page.wait_for(READY)
        assert "trader paper, live since 2023-11-15" in facts(page)
        assert page.evaluate("current.stream.slots") == COUNT + 10
        choices = page.evaluate("document.getElementById('goto').innerText")
        for text in ("live · ", "entry BUY 63,000.00", "exit SELL 63,100.00"):
            assert text in choices
        page.evaluate("current.hovered = 1310, legend(current)")
        legend = page.evaluate("document.querySelector('.legend').innerText")
        assert "BUY 0.010 @ 63,000.00 LONG maker fee 0.1 USDT" in legend
        pixels = page.wait_for(f"(pixels => pixels.buy > 5 && pixels)({PIXELS})")
        assert pixels["sell"] > 5
        assert page.problems == []
    done = job("chart", volume, "--state", volume, "--output", output)
    assert done.code == 2
    assert "no trader has kept a journal there" in done.err


@pytest.mark.browser
def test_the_command_writes_the_file_and_a_picture(volume: Path, tmp_path: Path) -> None:
    output, picture = tmp_path / "c.html", tmp_path / "c.png"
    done = job("chart", volume, "--stream", "BTCUSDT:1m", "--output", output, "--png", picture)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        f"{output}: BTCUSDT 1m, 1440 bars",
        f"{picture}: a picture of it",
    ]
    assert output.read_text().startswith("<!doctype html>")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(picture.read_bytes()) > 30_000  # more than an empty page


def test_the_command_says_what_is_wrong(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "c.html"
    done = job("chart", volume, "--stream", "ETHUSDT", "--output", output)
    assert (done.code, output.exists()) == (2, False)
    assert "--stream ETHUSDT: the snapshot has no such stream; it has BTCUSDT:1m" in done.err
    assert job("chart", tmp_path, "--output", output).code == 20
    done = job("chart", volume, "--output", tmp_path / "no" / "c.html")
    assert done.code == 2
    assert "cannot be written: No such file or directory" in done.err
    done = job("chart", volume, "--output", output, "--png", tmp_path / "x" / ".." / "c.html")
    assert (done.code, output.exists()) == (2, False)
    assert "--png and --output name the same file" in done.err
    (programs := tmp_path / "bin").mkdir()
    (programs / "chromium").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(programs))
    done = job("chart", volume, "--output", output, "--png", output / "c.png")
    assert done.code == 2
    assert f"--png {output}/c.png cannot be written: Not a directory" in done.err
    monkeypatch.setenv("PATH", "/nonexistent")
    done = job("chart", volume, "--output", output, "--png", tmp_path / "c.png")
    assert done.code == 2
    assert "--png needs Chromium or Chrome" in done.err


@pytest.mark.browser
def test_a_study_is_drawn_as_it_is_printed(
    chromium: Chromium, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("study")
    publish_walk(folder / "volume", 4000)
    file = folder / "study.html"
    done = job(
        "study", folder / "volume", "--bars", "70,100,300", "--step", "20", "--json",
        "--certify-every", "5", "--strategy", REPO / "configs/strategies/hedge_grid_v1.yaml",
        "--chart", file,
    )  # fmt: skip
    assert done.code == 0, done.err
    ((_, rows),) = done.json.items()
    with chromium.page(file, theme="dark", offline=True) as page:
        page.wait_for(READY)
        shown = page.evaluate(
            "[...document.querySelectorAll('.figures tr')].slice(1)"
            ".map((row) => [...row.cells].map((cell) => parseFloat(cell.textContent)))"
        )
        assert [row[0] for row in shown] == [70, 100, 300]
        for row, drawn in zip(rows, shown, strict=True):
            assert drawn[1] == pytest.approx(row["wrong"] * 100, rel=0.01)
            assert drawn[3] == pytest.approx(row["proven"] * 100, rel=0.01)
        heights = [
            float(point.split(",")[1])
            for point in page.evaluate(
                "document.querySelector('[data-line=wrong]').getAttribute('points')"
            ).split()
        ]
        assert heights == sorted(heights), "fewer wrong starts are drawn lower"
        assert page.problems == []
        assert page.requests == [file.as_uri()]
