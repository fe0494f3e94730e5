"""TradingView Lightweight Charts 5.2.1, as published on npm, and what its licence asks of a page.

`vendor/` has the standalone production build unchanged, with its LICENSE (Apache 2.0) and NOTICE.
A page that shows charts must show the notice and a link to https://www.tradingview.com/: either
`attributionLogo`, which is on unless a chart switches it off, or a link of its own.

API: https://tradingview.github.io/lightweight-charts/docs/api
"""

from __future__ import annotations

from importlib.resources import files

VERSION = "5.2.1"
SCRIPT_NAME = "lightweight-charts.standalone.production.js"
HOME_URL = "https://www.tradingview.com/"


def charting_script() -> str:
    """Return the library's JavaScript; run as a classic script it sets `LightweightCharts`.

    It contains no `</script>` and no `<!--`, so it can also stand inside an HTML file.
    """
    return (files(__name__) / "vendor" / SCRIPT_NAME).read_text("utf-8")


def charting_licence() -> str:
    """Return the text of the library's licence."""
    return (files(__name__) / "vendor" / "LICENSE").read_text("utf-8")


def charting_notice() -> str:
    """Return the attribution notice that a page with charts must show."""
    return (files(__name__) / "vendor" / "NOTICE").read_text("utf-8").strip()
