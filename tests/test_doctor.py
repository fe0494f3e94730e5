"""What `warmup-job doctor` makes of what it sees: verdict, remedy and exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmup_job.binance.client import ClockOffset
from warmup_job.doctor.clock_check import judge_clock
from warmup_job.doctor.finding import Finding, failed, passed, split_remedy, warned, worst_code
from warmup_job.doctor.finding_table import table_lines
from warmup_job.doctor.symbol_check import judge_symbols
from warmup_job.doctor.tls_check import judge_certificate
from warmup_job.doctor.version_check import check_versions, judge_versions
from warmup_job.doctor.volume_check import Space, check_state_dir, judge_space
from warmup_job.doctor.websocket_check import judge_handshake
from warmup_job.doctor.weight_check import judge_weight
from warmup_job.errors import ConfigError, ExchangeUnreachableError, VolumeError

GIB = 1024**3
SIX_SECONDS_BEHIND = ClockOffset(-6_000, 20)


@pytest.mark.parametrize(
    ("message", "text", "remedy"),
    [
        (
            "cannot reach https://h:8 (Error: no route): check the network",
            "cannot reach https://h:8 (Error: no route)",
            "check the network",
        ),
        (
            "https://h does not serve you (HTTP 451): run elsewhere; it says: Sorry: no",
            "https://h does not serve you (HTTP 451); it says: Sorry: no",
            "run elsewhere",
        ),
        (
            "the strategy has made SMA: add {kind: sma, period: 3} there",
            "the strategy has made SMA",
            "add {kind: sma, period: 3} there",
        ),
        ("no remedy", "no remedy", ""),
        ("one: do this\ntwo: do that", "one: do this\ntwo: do that", ""),
    ],
)
def test_doctor_takes_the_remedy_out_of_a_message(message: str, text: str, remedy: str) -> None:
    assert split_remedy(message) == (text, remedy)


def test_doctor_exits_with_the_worst_code_and_a_warning_has_none() -> None:
    fine, odd = passed("clock", "fine"), warned("weight", "little: wait")
    unreachable = failed("exchange", ExchangeUnreachableError("no answer: wait"))
    assert worst_code([]) == worst_code([fine, odd]) == 0
    assert worst_code([unreachable, fine, failed("hosts", ConfigError("no: correct it"))]) == 10


def test_doctor_compares_pinned_versions_and_misses_packages() -> None:
    there = {"ccxt": "4.5.90", "click": "8.1"}
    fine = judge_versions(["ccxt==4.5.90", "click>=8.1", "x; extra == 'dev'"], there.get)
    assert (fine.verdict, fine.text) == ("ok", "as pinned: ccxt 4.5.90")
    wrong = judge_versions(["ccxt==4.5.91", "pyyaml>=6"], there.get)
    assert (wrong.verdict, wrong.exit_code) == ("failed", 2)
    assert wrong.text == "ccxt is 4.5.90, and 4.5.91 is required; pyyaml is not installed"
    assert "requirements.lock" in wrong.remedy


def test_doctor_takes_a_missing_nautilus_for_an_installation_of_the_job() -> None:
    found = judge_versions(["ccxt==4.5.90", "nautilus_trader==1.231.0"], {"ccxt": "4.5.90"}.get)
    assert found.verdict == "ok"
    assert found.text == "as pinned: ccxt 4.5.90; without nautilus_trader, which only trading needs"
    other = judge_versions(["nautilus_trader==1.231.0"], {"nautilus_trader": "1.230.0"}.get)
    assert other.verdict == "failed"


def test_doctor_finds_the_pinned_versions_that_are_installed() -> None:
    found = check_versions()
    assert found.verdict == "ok", found
    assert "nautilus-trader" in found.text.replace("_", "-")


def test_doctor_judges_the_clock_by_what_binance_accepts() -> None:
    fine = judge_clock(ClockOffset(-179, 363), live=True)
    assert (fine.verdict, fine.text) == ("ok", "offset -179 ms ± 181 ms")
    on_paper = judge_clock(SIX_SECONDS_BEHIND, live=False)
    assert (on_paper.verdict, on_paper.remedy) == ("warning", "synchronize it by NTP")
    assert judge_clock(SIX_SECONDS_BEHIND, live=True).exit_code == 22
    unsure = judge_clock(ClockOffset(1_500, 1_200), live=True)
    assert (unsure.verdict, unsure.exit_code) == ("warning", 0)
    assert "too slow" not in unsure.text
    assert "the answer was too slow" in unsure.remedy


def test_doctor_judges_the_weight_that_is_left() -> None:
    assert judge_weight(5, limit=2400, budget=1200, needed=30).verdict == "ok"
    little = judge_weight(2380, limit=2400, budget=1200, needed=30)
    assert (little.verdict, little.text.partition(" left")[0]) == ("warning", "20 of 2400")
    # A first run that needs more than its share waits for the next minutes anyway.
    assert judge_weight(1200, limit=2400, budget=1200, needed=9_000).verdict == "ok"
    assert judge_weight(None, limit=2400, budget=1200, needed=30).verdict == "skipped"


@pytest.mark.parametrize(
    ("space", "verdict", "words"),
    [
        (Space(GIB, None), "ok", "1024 MiB free, 2.0 MiB needed"),
        (Space(GIB, 100), "ok", "is writable"),
        (Space(GIB, 99), "failed", "can take 99 more files"),
        (Space(1024**2, None), "failed", "is full, 1 MiB free"),
    ],
)
def test_doctor_judges_space_and_inodes(space: Space, verdict: str, words: str) -> None:
    found = judge_space("volume", Path("/snapshot"), space, 2 * 1024**2, VolumeError)
    assert found.verdict == verdict
    assert words in found.text
    assert found.exit_code == (15 if verdict == "failed" else 0)
    assert bool(found.remedy) == (verdict == "failed")


@pytest.mark.parametrize(("live", "verdict", "code"), [(False, "warning", 0), (True, "failed", 22)])
def test_doctor_judges_a_state_folder_that_cannot_even_be_looked_for(
    tmp_path: Path, live: bool, verdict: str, code: int
) -> None:
    # As in a folder that may not be searched, but so for root too.
    found = check_state_dir(tmp_path / ("s" * 300) / "state", live=live)
    assert (found.verdict, found.exit_code) == (verdict, code)
    assert "cannot be used" in found.text
    assert "File name too long" in found.text
    assert "trade.state_dir" in found.remedy


def test_doctor_warns_of_a_certificate_that_ends_soon() -> None:
    assert judge_certificate("https://h", "TLSv1.3", 7 * 86_400).verdict == "ok"
    soon = judge_certificate("https://h", "TLSv1.3", 7 * 86_400 - 0.1)
    assert (soon.verdict, soon.text.rpartition("its ")[2]) == (
        "warning", "certificate ends in 6 days",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(0, 10, "HTTP"), (200, 10, "api.ws_url"), (302, 10, "redirect"), (403, 12, "firewall"),
     (429, 11, "wait until"), (451, 12, "another region"), (503, 10, "try again")],
)  # fmt: skip
def test_doctor_judges_the_websocket_by_its_handshake(status: int, code: int, words: str) -> None:
    found = judge_handshake("wss://h", status, {})
    assert (found.verdict, found.exit_code) == ("failed", code)
    assert words in f"{found.text} {found.remedy}"
    assert found.remedy


def test_doctor_accepts_a_websocket_that_switches() -> None:
    assert judge_handshake("wss://h", 101, {}).verdict == "ok"


def test_doctor_names_symbols_that_are_not_listed_or_do_not_trade() -> None:
    listed = {"A": {"status": "TRADING"}, "B": {"status": "SETTLING"}}
    found = judge_symbols("https://h", ["A", "B", "C"], listed)
    assert [(each.verdict, each.exit_code) for each in found] == [("failed", 12), ("warning", 0)]
    assert found[0].text.endswith("does not list the symbol C")
    assert found[0].remedy.startswith("correct it in the strategy file or in warmup.streams")
    near = judge_symbols("https://h", ["BTCUSD"], listed, {"BTCUSDT"})[0].text
    assert near.endswith("does not list the symbol BTCUSD (did you mean BTCUSDT?)")
    assert "SETTLING" in found[1].text
    assert judge_symbols("https://h", ["A"], listed)[0].verdict == "ok"


@pytest.mark.parametrize("columns", [48, 60, 80, 200])
def test_doctor_prints_a_table_that_fits(columns: int) -> None:
    finding = Finding("exchange", "failed", "what was seen " * 12, "what to do now " * 9, 10)
    lines = list(table_lines(finding, columns))
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[:2] == ["failed", "exchange"]
    assert sum("→ " in line for line in lines) == 1
    words = " ".join(lines).replace("→", "").split()
    assert words[2:] == f"{finding.text} {finding.remedy}".split()
