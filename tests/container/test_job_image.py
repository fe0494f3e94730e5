"""The image without Nautilus, for CronJobs, fleets and dry runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.containers import Engine, ExchangeContainer, mounts
from tests.support.suite import VERSION

LARGEST_MB = 350


def layers(client: Any, image: str) -> list[str]:
    found: list[str] = client.images.get(image).attrs["RootFS"]["Layers"]
    return found


def test_job_image_is_small_and_the_full_one_is_its_layers_and_one_more(
    engine: Engine, job_image: str
) -> None:
    assert engine.client.images.get(job_image).attrs["Size"] <= LARGEST_MB * 10**6
    few, full = layers(engine.client, job_image), layers(engine.client, engine.image)
    assert full[:-1] == few


def test_job_image_runs_as_the_full_one_does(engine: Engine, job_image: str) -> None:
    few, full = (
        engine.client.images.get(name).attrs["Config"] for name in (job_image, engine.image)
    )
    for name in ("User", "Entrypoint", "Cmd", "Env", "Healthcheck", "WorkingDir"):
        assert few[name] == full[name], name
    assert few["Labels"]["org.opencontainers.image.version"] == VERSION


def test_job_image_makes_a_snapshot_for_the_full_one(
    engine: Engine, job_image: str, exchange: ExchangeContainer, volume: str
) -> None:
    """A first run and a later one, in the read-only container of every test here."""
    few = {"WARMUP_STREAMS": "BTCUSDT:1m:70", "WARMUP_REQUIRE": "bars"}
    first = engine.run("run", "--json", environment=few, volumes=mounts(volume), image=job_image)
    assert first.code == 0, first.err
    later = engine.run("run", "--full", environment=few, volumes=mounts(volume), image=job_image)
    assert later.code == 0, later.err
    for image in (job_image, engine.image):
        done = engine.run("verify", "/snapshot", volumes=mounts(volume, "ro"), image=image)
        assert done.code == 0, done.out
    read = (
        "from nautilus_trader.persistence.catalog import ParquetDataCatalog as Catalog; "
        "catalog = Catalog('/snapshot/current/catalog'); "
        "print(len(catalog.instruments()), len(catalog.bars()))"
    )
    assert engine.look(volume, read) == "1 70"


@pytest.mark.parametrize("command", ["trade", "up"])
def test_job_image_refuses_to_trade_with_one_line(
    engine: Engine, job_image: str, command: str
) -> None:
    done = engine.run(command, "--mode", "paper", image=job_image)
    assert (done.code, done.out) == (2, "")
    (message,) = done.messages
    assert "needs nautilus_trader" in message
    assert "full image" in message


def test_job_image_compiles_nothing_and_has_no_nautilus(engine: Engine, job_image: str) -> None:
    code = (
        "import warmup_job.cli.group, warmup_job.job.run_job, warmup_job.binance.client, "
        "warmup_job.local_binance.server, warmup_job.chart.snapshot_chart, pyarrow.parquet"
    )
    done = engine.run("-v", "-c", code, entrypoint="python", network="none", image=job_image)
    assert done.code == 0, done.err[-2000:]
    assert re.findall(r"^# code object from '?(.*\.py)'?$", done.err, re.MULTILINE) == []
    for name in ("nautilus_trader", "pandas"):
        done = engine.run("-c", f"import {name}", entrypoint="python", image=job_image)
        assert f"No module named '{name}'" in done.err
