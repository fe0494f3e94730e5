"""The job in its container, as it is shipped: read-only, without a capability or a way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.containers import ENDS, Engine, ExchangeContainer, mounts, wait_until


def test_job_publishes_and_its_second_start_reuses_the_snapshot(
    engine: Engine, exchange: ExchangeContainer, volume: str
) -> None:
    first = engine.run("run", "--json", volumes=mounts(volume))
    assert first.code == 0, first.err
    assert first.messages  # every line of its log is a JSON object, and stdout has the result alone
    assert first.json["manifest"]["streams"][0]["bar_count"] >= 499
    asked = len(exchange.ask("GET", "requests")["requests"])

    second = engine.run("run", "--json", volumes=mounts(volume))
    assert second.code == 0, second.err
    new = exchange.ask("GET", "requests")["requests"][asked:]
    limits = [int(each["params"]["limit"]) for each in new if "klines" in each["path"]]
    assert sum(limits) < 10  # only what has closed since, if anything
    verified = engine.run("verify", "/snapshot", volumes=mounts(volume, "ro"), network="none")
    assert verified.code == 0, verified.out


@pytest.mark.parametrize("code", ENDS)
def test_job_exit_code_names_the_failure(
    engine: Engine, exchange: ExchangeContainer, volume: str, code: int
) -> None:
    environment, fault = ENDS[code]
    if fault:
        exchange.fault(fault)
    environment = {"WARMUP_DEADLINE": "60s"} | environment
    done = engine.run("run", environment=environment, volumes=mounts(volume))
    assert done.code == code, done.err
    passed = engine.run(
        "run",
        environment=environment | {"WARMUP_ON_FAILURE": "proceed"},
        volumes=mounts(volume),
    )
    assert passed.code == (2 if code == 2 else 0), passed.err
    if code != 2:
        assert any("exiting 0 because" in line for line in passed.messages)


def test_job_repeated_runs_are_checked_by_the_sidecars_probe(
    engine: Engine, exchange: ExchangeContainer, volume: str
) -> None:
    probe = ["python", "-m", "warmup_job.process.healthcheck", "/snapshot/status.json", "900"]
    few = {"WARMUP_STREAMS": "BTCUSDT:1m:70", "WARMUP_REQUIRE": "bars"}
    job = engine.start("run", "--repeat-every", "1s", environment=few, volumes=mounts(volume))
    wait_until(job, "next run in")
    code, output = job.exec_run(probe)
    assert code == 0, output
    job.kill("SIGTERM")
    assert engine.end(job, 30).code == 143

    other = engine.volume()
    exchange.fault("503@*")
    few["WARMUP_DEADLINE"] = "1s"
    job = engine.start("run", "--repeat-every", "1s", environment=few, volumes=mounts(other))
    wait_until(job, "2 run(s) in a row have failed")
    code, output = job.exec_run(probe)
    assert code == 1
    assert b"no run has succeeded yet" in output


def test_job_unwritable_volume_exits_with_15(
    engine: Engine, exchange: ExchangeContainer, volume: str
) -> None:
    done = engine.run("run", volumes=mounts(volume, "ro"))
    assert done.code == 15, done.err
    assert "/snapshot" in done.messages[-1]


def test_job_full_volume_exits_with_15_and_keeps_its_snapshot(
    engine: Engine, exchange: ExchangeContainer
) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=256k,uid=10001,mode=2775"}
    volume = engine.volume(driver="local", driver_opts=options)
    held = engine.start("-c", "import time; time.sleep(600)", entrypoint="python",
                        volumes=mounts(volume))  # fmt: skip
    few = {"WARMUP_STREAMS": "BTCUSDT:1m:70", "WARMUP_REQUIRE": "bars"}
    done = engine.run("run", environment=few, volumes=mounts(volume))
    assert done.code == 0, done.err
    before = engine.snapshots(volume)

    many = few | {"WARMUP_STREAMS": "BTCUSDT:1m:20000"}
    done = engine.run("run", "--full", environment=many, volumes=mounts(volume))
    assert done.code == 15, done.err
    assert "space" in " ".join(done.messages)
    assert engine.snapshots(volume) == before
    assert engine.look(volume, "import os; print(len(os.listdir('/snapshot/.staging')))") == "0"
    assert engine.run("verify", "/snapshot", volumes=mounts(volume, "ro")).code == 0
    held.kill()


def test_job_of_another_user_of_the_group_shares_the_volume(
    engine: Engine, exchange: ExchangeContainer, volume: str
) -> None:
    """As on OpenShift, where every pod runs as a number of its own, and with the group 0."""
    once = {"WARMUP_STREAMS": "BTCUSDT:1m:70", "WARMUP_REQUIRE": "bars"}
    first = engine.run("run", environment=once, volumes=mounts(volume))
    assert first.code == 0, first.err
    once["WARMUP_STREAMS"] = "BTCUSDT:1m:71"  # there is something to publish
    other = engine.run("run", environment=once, volumes=mounts(volume), user="12345:0")
    assert other.code == 0, other.err
    assert len(engine.snapshots(volume)) == 2
    back = engine.run("run", "--full", environment=once, volumes=mounts(volume))
    assert back.code == 0, back.err
    for user in ("10001:0", "12345:0", "54321:54321"):
        read = engine.run("verify", "/snapshot", volumes=mounts(volume, "ro"), user=user)
        assert read.code == 0, (user, read.out)


def test_job_of_a_user_without_access_prints_the_remedy(
    engine: Engine, exchange: ExchangeContainer, volume: str
) -> None:
    done = engine.run("run", volumes=mounts(volume), user="54321:54321")
    assert done.code == 15, done.err
    assert "Permission denied" in done.messages[-1] or "permission" in done.messages[-1]


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM"])
def test_job_stopped_leaves_the_volume_complete(
    engine: Engine, exchange: ExchangeContainer, volume: str, signal: str
) -> None:
    few = {"WARMUP_STREAMS": "BTCUSDT:1m:70", "WARMUP_REQUIRE": "bars"}
    assert engine.run("run", environment=few, volumes=mounts(volume)).code == 0
    before = engine.snapshots(volume)
    exchange.fault("stall@klines")
    job = engine.start("run", "--full", environment=few, volumes=mounts(volume))
    wait_until(job, "fetching")
    job.kill(signal)
    done = engine.end(job, 20)
    assert done.code == (143 if signal == "SIGTERM" else 137), done.err
    assert engine.snapshots(volume) == before
    exchange.mend()
    after = engine.run("run", "--full", environment=few, volumes=mounts(volume))
    assert after.code == 0, after.err
    assert len(engine.snapshots(volume)) == 2


def test_job_signal_during_start_up_is_handled(engine: Engine) -> None:
    """A container's first process gets no signal that it does not handle: Python takes 0.3 s to."""
    *first, job = engine.client.images.get(engine.image).attrs["Config"]["Entrypoint"]
    assert job == "warmup-job"
    deaf = engine.start("60", entrypoint=[*first, "sleep"])
    assert deaf.exec_run(["cat", "/proc/1/comm"])[0] == 0  # it runs
    deaf.kill("SIGTERM")
    assert engine.end(deaf, 8).code == 143


def test_job_out_of_memory_is_killed_alone(
    engine: Engine, exchange: ExchangeContainer, volume: str
) -> None:
    few = {"WARMUP_STREAMS": "BTCUSDT:1m:70", "WARMUP_REQUIRE": "bars"}
    assert engine.run("run", environment=few, volumes=mounts(volume)).code == 0
    before = engine.snapshots(volume)
    done = engine.run(
        "run", "--full", environment=few, volumes=mounts(volume), mem_limit="48m",
        memswap_limit="48m",
    )  # fmt: skip
    assert (done.code, done.oom) == (137, True), done.err
    assert engine.snapshots(volume) == before
    assert engine.run("verify", "/snapshot", volumes=mounts(volume, "ro")).code == 0


def test_job_writes_its_last_message_to_the_termination_file(
    engine: Engine, exchange: ExchangeContainer, volume: str, tmp_path: Path
) -> None:
    """As the kubelet gives it: a file that everybody may write."""
    termination_log = tmp_path / "termination-log"
    for fault, word in (("", "published"), ("418@/fapi/*:for=600s", "banned")):
        termination_log.write_text("")
        termination_log.chmod(0o666)
        if fault:
            exchange.fault(fault)
        volumes = mounts(volume) | {
            str(termination_log): {"bind": "/dev/termination-log", "mode": "rw"}
        }
        done = engine.run("run", "--full", volumes=volumes)
        assert word in termination_log.read_text(), (done.err, termination_log.read_text())
        assert len(termination_log.read_bytes()) <= 4096


def test_job_dry_run_needs_no_volume(engine: Engine, exchange: ExchangeContainer) -> None:
    done = engine.run("run", "--dry-run", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["manifest"]["streams"]
