"""The trader's page in a real browser: live, paused, and after the trader has ended."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.chromium import Chromium
from tests.support.commands import job
from tests.support.live_trader import LiveTrader, live_trader

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

HEADLINE = "document.querySelector('h1').textContent"
TEXT = "document.querySelector('main').innerText"


def url_of(trader: LiveTrader) -> str:
    (said,) = [each["message"] for each in trader.lives[-1].lines if "at http" in each["message"]]
    return str(said).rpartition(" ")[2]


def open_port(trader: LiveTrader) -> None:
    written = json.loads(trader.config.read_text())
    written["trade"] |= {"http_port": 0, "http_host": "127.0.0.1"}
    trader.config.write_text(json.dumps(written))


def test_page_shows_the_grid_a_pause_and_the_lost_trader(
    chromium: Chromium, tmp_path: Path
) -> None:
    with live_trader(tmp_path) as trader:
        open_port(trader)
        trader.start()
        trader.until_state("live")
        trader.until_protected()
        url = url_of(trader)
        with chromium.page(url, width=1400, height=1200) as page:
            page.wait_for(f"{HEADLINE} === 'Trading' && document.querySelector('canvas')")
            assert page.evaluate("document.getElementById('mode').textContent") == "LIVE ORDERS"
            assert "live" in page.evaluate("document.getElementById('state').textContent")
            assert page.evaluate("document.title").startswith("● Trading · BTCUSDT-PERP")
            text = page.evaluate(TEXT)
            assert re.search(r"[\d,]{5,}\.\d\d USDT\s+drawdown", text), text
            for words in ("INVENTORY LONG", "INVENTORY SHORT", "contiguous", "agrees with"):
                assert words in text
            snapshot = (tmp_path / "snapshot/current").resolve().name
            assert snapshot in text
            page.wait_for("document.querySelector('tr.now')")
            page.wait_for("document.querySelector('[data-purpose=entry]')")
            page.wait_for(  # the market swings until an entry is filled
                "document.querySelector('tr.holding') && "
                "document.querySelector('[data-purpose=stop_loss]')"
            )
            prices = page.evaluate(
                "[...document.querySelectorAll('.ladder tbody tr')].map("
                "row => Number(row.cells[0].textContent.replaceAll(',', '')))"
            )
            assert prices == sorted(prices, reverse=True)

            state = ("--state-dir", tmp_path / "state")
            assert job("trader", "pause", *state).code == 0
            page.wait_for(f"{HEADLINE} === 'Paused'")
            assert "by the operator" in page.evaluate("document.getElementById('why').textContent")
            assert page.evaluate("document.querySelector('#remedy code').textContent") == (
                "warmup-job trader resume"
            )
            page.wait_for("!document.querySelector('[data-purpose=entry]')")
            assert job("trader", "resume", *state).code == 0
            page.wait_for(f"{HEADLINE} === 'Trading'")

            happened = page.evaluate("document.getElementById('changes').innerText")
            states = re.findall(r"UTC\s+(\w+)", happened)
            assert states[:3] == ["live", "paused", "live"]
            assert states[-1] == "starting"

            page.resize(390, 900)
            page.prefer("dark")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            too_wide = "(each => each.scrollWidth > each.clientWidth)"
            assert not page.evaluate(f"{too_wide}(document.querySelector('.scroll'))")
            assert page.problems == []
            assert {each.split("?")[0].removeprefix(url) for each in page.requests} == {
                "/", "/trader.css", "/trader.js", "/charting.js", "/status", "/bars",
            }  # fmt: skip

            trader.terminate()
            page.wait_for("document.documentElement.dataset.link === 'lost'")
            assert page.evaluate(HEADLINE) == "The trader cannot be reached"
            assert "live" not in page.evaluate("document.getElementById('state').textContent")
            assert "live" not in page.evaluate("document.title")
            assert re.search(r"is [\d.]+ s old", page.evaluate(TEXT))
            grey = "getComputedStyle(document.getElementById('markets')).filter"
            assert page.evaluate(grey) == "grayscale(1)"
            others = [each for each in page.problems if "ERR_CONNECTION_REFUSED" not in each]
            assert others == []
