"""What Prometheus gets from a real job and a real trader, and what monitoring/ makes of it."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from tests.support.commands import job
from tests.support.config_files import LIVE_KEYS
from tests.support.exchange import Exchange
from tests.support.exposed_metrics import all_metrics, labels_of
from tests.support.operators import operated_live, snapshot_for_live
from tests.support.suite import REPO

pytestmark = pytest.mark.e2e
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def samples(families: list[Metric]) -> dict[str, float]:
    assert len({each.name for each in families}) == len(families)
    return {
        f"{each.name}{sorted(each.labels.items())}": each.value
        for family in families
        for each in family.samples
    }


def documented_events() -> dict[str, set[str]]:
    """Return the fields of each event of docs/reference/log-events.md."""
    page = (REPO / "docs/reference/log-events.md").read_text()
    rows = re.findall(r"^\| `([a-z_.]+\.[a-z_]+)` \| [^|]* \| ([^|]*) \|", page, re.MULTILINE)
    return {event: set(re.findall(r"`(\w+)`", fields)) for event, fields in rows}


def events_of(log: str) -> list[str]:
    """Return the events of a log in JSON; each line has exactly the documented fields."""
    documented, found = documented_events(), []
    for line in log.splitlines():
        record = json.loads(line)
        fields = record.keys() - {"help"}
        assert fields == {"time", "level", "message", "event"} | documented[record["event"]], line
        found.append(record["event"])
    return found


def fetch(url: str, accept: str) -> tuple[str, str]:
    """Return the content type and the text of /metrics."""
    request = urllib.request.Request(f"{url}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_trader_shows_the_figures_of_the_jobs_textfile_and_of_its_process(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    config = snapshot_for_live(tmp_path, running, trade={"http_port": 0})
    textfile = tmp_path / "snapshot" / "warmup.prom"
    succeeded = samples(list(text_string_to_metric_families(textfile.read_text())))
    root = f"[('root', '{textfile.parent}')]"
    assert succeeded[f"warmup_job_run_code{root}"] == 0
    assert succeeded[f"warmup_job_run_weight{root}"] > 0

    running.fault("451@*")
    failing = job("run", "--config", config, env=LIVE_KEYS)
    assert failing.code == 0  # on_failure: proceed
    running.clear_faults()
    written = samples(list(text_string_to_metric_families(textfile.read_text())))
    assert written[f"warmup_job_run_code{root}"] == 12
    assert written[f"warmup_job_failed_runs{root}"] == 1
    assert written[f"warmup_job_run_weight{root}"] > 0  # the requests that failed
    assert "job.failed" in events_of(failing.err)
    kept = [name for name in succeeded if name.startswith("warmup_snapshot_")]
    assert kept
    assert {name: written[name] for name in kept} == {name: succeeded[name] for name in kept}
    assert job("verify", textfile.parent).code == 0

    with operated_live(config, running) as trader:
        trader.until(lambda report: report["state"] == "live" and report["grids"])
        words = "probes and metrics at "
        (line,) = [each for each in trader.log.read_text().splitlines() if words in each]
        url = json.loads(line)["message"].partition(words)[2]
        kind, text = fetch(url, "*/*")
        open_kind, open_text = fetch(url, OPEN_METRICS)
        assert trader.stop() == 143
    events = events_of(trader.log.read_text())
    assert {"http.listening", "snapshot.verified", "state.entered", "node.line"} <= {*events}
    assert events[-1] == "process.stopped"
    assert kind.startswith("text/plain; version=0.0.4")
    shown = samples(list(text_string_to_metric_families(text)))
    assert {name: shown[name] for name in written} == written
    assert shown["process_resident_memory_bytes[]"] > 1e7
    assert shown["process_open_fds[]"] > 5
    assert abs(shown["warmup_trader_clock_offset_seconds[]"]) < 60
    assert open_kind.startswith(OPEN_METRICS)
    exposed = all_metrics(tmp_path / "other")
    real = labels_of(text_string_to_metric_families(text))
    ours = {name: labels for name, labels in real.items() if not name.startswith("python_")}
    assert ours == {name: exposed[name] for name in ours}
    assert exposed.keys() - ours.keys() <= {
        "warmup_job_repeat_every_seconds",  # of run --repeat-every
        "warmup_exchange_limited_until_seconds",  # of a limit or ban
        "warmup_trader_order_rejections_total",  # of orders that were refused
        "warmup_trader_account_event_age_seconds",  # once there was an event
        "warmup_grid_result_time_seconds",  # once the account was read
        "warmup_grid_equity",
    }
    as_open_metrics = samples(list(open_metrics(open_text)))  # type: ignore[no-untyped-call]
    assert as_open_metrics.keys() >= shown.keys()
