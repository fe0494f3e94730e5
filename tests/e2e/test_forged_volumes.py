"""Anyone with write access can seal a manifest again: every command still ends in order."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import job, job_process
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.forged_snapshots import (
    BAR_FILES,
    GARBAGE,
    INSTRUMENT_FILES,
    file_of,
    sealed_again,
    text_column,
)
from tests.support.volumes import BARS, HALF_PAST_MS, Hourly, current, read_whole
from warmup_job.config import load
from warmup_job.errors import SnapshotError
from warmup_job.plan.resolve import resolve
from warmup_job.plan.venue_client import open_client
from warmup_job.snapshot.verify import open_snapshot, verify

pytestmark = pytest.mark.e2e

Forge = Callable[[Path], object]
BAR_CHANGES, INSTRUMENT_CHANGES = dict(BAR_FILES), dict(INSTRUMENT_FILES)


def a_file(kind: str, change: Callable[[bytes], bytes]) -> Forge:
    """Return a function that replaces a file of this kind and seals the manifest again."""

    def forge(root: Path) -> None:
        snapshot = open_snapshot(root)
        path = file_of(snapshot, kind)
        path.write_bytes(change(path.read_bytes()))
        sealed_again(snapshot)

    return forge


def bars_as_instrument(root: Path) -> None:
    snapshot = open_snapshot(root)
    shutil.copy(file_of(snapshot, "bar"), file_of(snapshot, "crypto_perpetual"))
    sealed_again(snapshot)


def no_utf8(root: Path) -> None:
    path = open_snapshot(root).folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"BINANCE", b"BIN\xffNCE", 1))


FORGED: dict[str, Forge] = {
    "a manifest that is no text": no_utf8,
    "bars in an instrument's place": bars_as_instrument,
    "noise for bars": a_file("bar", dict(GARBAGE)["noise"]),
    "noise for an instrument": a_file("crypto_perpetual", dict(GARBAGE)["noise"]),
    "another one's instrument": a_file("crypto_perpetual", INSTRUMENT_CHANGES["another one's id"]),
    "a price below zero": a_file("bar", BAR_CHANGES["high below low"]),
}


@pytest.mark.parametrize("forge", [pytest.param(forge, id=name) for name, forge in FORGED.items()])
def test_verify_refuses_a_forged_snapshot_and_the_job_fetches_again(
    hourly: Hourly, tmp_path: Path, forge: Forge
) -> None:
    root = hourly.volume(tmp_path / "volume")
    forge(root)
    before = current(root)
    verified = hourly.jobs.run("verify", root, "--json")
    assert verified.code == 20, verified.err
    assert verified.json["problems"]
    inspected = hourly.jobs.run("inspect", root)
    assert inspected.code in {0, 20}, inspected.err
    done = hourly.run(root)
    assert done.code == 0, done.err
    for each in (verified, inspected, done):
        assert "Traceback" not in each.err
        assert "a bug" not in each.err
    assert current(root) != before
    assert read_whole(root) == current(root)
    verify(root, now_ms=HALF_PAST_MS)


def test_study_reports_a_damaged_catalog(hourly: Hourly, tmp_path: Path) -> None:
    root = hourly.volume(tmp_path / "volume")
    path = file_of(open_snapshot(root), "bar")
    raw = path.read_bytes()
    odd = [
        (name, BAR_CHANGES[name])
        for name in ("a price of nothing", "high below low", "the end of time", "no labels")
    ]
    for name, change in [*GARBAGE, *odd]:
        path.write_bytes(change(raw))
        done = hourly.jobs.run("study", root, "--bars", "20")
        assert done.code in {0, 2, 20}, f"{name}: {done.err}"
        assert "Traceback" not in done.err, name
        assert (done.code == 20) == ("cannot be decoded" in done.err), f"{name}: {done.err}"
        if name in dict(GARBAGE):
            assert done.code != 0, name


def with_a_false_tick(root: Path) -> None:
    """Replace the instrument by a valid one with another tick."""
    snapshot = open_snapshot(root)
    path = file_of(snapshot, "crypto_perpetual")
    path.write_bytes(text_column("taker_fee", "0.5")(path.read_bytes()))
    sealed_again(snapshot)


def that_nautilus_cannot_decode(root: Path) -> None:
    snapshot = open_snapshot(root)
    path = file_of(snapshot, "crypto_perpetual")
    path.write_bytes(text_column("quote_currency", "no currency")(path.read_bytes()))
    sealed_again(snapshot)


@pytest.fixture(scope="module")
def forged_for_trading(
    tmp_path_factory: pytest.TempPathFactory, exchange: Exchange
) -> tuple[Path, Path]:
    """Return a configuration and a volume with its snapshot."""
    folder = tmp_path_factory.mktemp("traded")
    config = write_config(folder, exchange.url, ws_url=exchange.ws_url)
    done = job("run", "--config", config, "--root", folder / "volume")
    assert done.code == 0, done.err
    return config, folder / "volume"


@pytest.mark.parametrize(
    "forge",
    [
        *(pytest.param(forge, id=name) for name, forge in FORGED.items()),
        with_a_false_tick,
        that_nautilus_cannot_decode,
    ],
)
def test_trader_fetches_the_bars_itself_or_exits_with_20(
    forged_for_trading: tuple[Path, Path], tmp_path: Path, forge: Forge
) -> None:
    path, good = forged_for_trading
    root = Path(shutil.copytree(good, tmp_path / "volume", symlinks=True))
    forge(root)
    from warmup_job.trader.history import load_histories
    from warmup_job.trader.usable_snapshot import open_for_trading

    async def histories(on_failure: str) -> list[Any]:
        options = {"on_failure": on_failure, "root": str(root)}
        plan = resolve(load(path, environ={}, overrides=options))
        async with open_client(plan.venue, plan.deadline_ms) as client:
            await client.sync_clock()
            with pytest.raises(SnapshotError):
                open_for_trading(plan, client.now_ms())
            return await load_histories(plan, client)

    (history,) = asyncio.run(histories("proceed"))
    assert len(history.bars) >= 70
    assert history.instrument is not None
    with pytest.raises(SnapshotError):
        asyncio.run(histories("fail"))


def test_trader_process_on_a_forged_snapshot(
    forged_for_trading: tuple[Path, Path], exchange: Exchange, tmp_path: Path
) -> None:
    path, good = forged_for_trading
    root = Path(shutil.copytree(good, tmp_path / "volume", symlinks=True))
    bars_as_instrument(root)
    refused = job(
        "trade", "--config", path, "--root", root, "--mode", "paper", "--on-failure", "fail",
        env=exchange.env(),
    )  # fmt: skip
    assert refused.code == 20, refused.err
    assert "Traceback" not in refused.err
    with job_process(
        "trade", "--config", path, "--root", root, "--mode", "paper", env=exchange.env()
    ) as trader:
        lines = []
        for line in trader.stderr:
            lines.append(line)
            if "fetching the whole window" in line or "Traceback" in line:
                break
        assert "Traceback" not in lines[-1]
        assert any("no usable snapshot" in line for line in lines)
        trader.terminate()


def test_forged_snapshots_have_valid_digests(hourly: Hourly, tmp_path: Path) -> None:
    """Otherwise these tests would show only that digests are checked."""
    root = hourly.volume(tmp_path / "volume")
    bars_as_instrument(root)
    snapshot = open_snapshot(root)
    assert snapshot.manifest.streams[0].bar_count == BARS
    for entry in snapshot.manifest.files:
        raw = (snapshot.folder / entry.path).read_bytes()
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (entry.size, entry.sha256)
    assert snapshot.manifest.created_at < HALF_PAST_MS + 3_600_000
