"""`warmup-job doctor` on the local exchange: what is wrong, what to do, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import certificate
from tests.support.commands import Result, job
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.needs_nautilus import needs_nautilus
from tests.support.proxies import forward_proxy, proxied, serving, tunnel_to
from tests.support.volumes import mounted
from warmup_job.doctor.volume_check import space_at

pytestmark = pytest.mark.e2e
CROSS = "nautilus_trader.examples.strategies.ema_cross"
CHECKS = ["configuration", "versions", "strategy", "indicators", "volume", "state_dir", "hosts",
          "proxy", "dns", "tls", "exchange", "clock", "weight", "symbols", "websocket"]  # fmt: skip


def doctor(config: Path, *more: object, env: dict[str, str] | None = None) -> Result:
    root = config.parent / "snapshot"
    done = job("doctor", "--config", config, "--root", root, "--json", *more, env=env)
    assert "Traceback" not in done.err, done.err[-1500:]
    return done


def check(done: Result, name: str) -> dict[str, Any]:
    """The findings of one check; there is one, or the worst of them."""
    found = [each for each in done.json["checks"] if each["check"] == name]
    assert found, name
    return max(found, key=lambda each: int(each["exit_code"]))


def failed_checks(done: Result) -> dict[str, int]:
    checks = done.json["checks"]
    return {each["check"]: each["exit_code"] for each in checks if each["verdict"] == "failed"}


def configured(exchange: Exchange, folder: Path, **changes: Any) -> Path:
    return write_config(folder, exchange.url, ws_url=exchange.ws_url, **changes)


def test_doctor_finds_a_healthy_start(start_exchange: Callable[..., Exchange],
                                      tmp_path: Path) -> None:  # fmt: skip
    exchange = start_exchange()
    done = doctor(configured(exchange, tmp_path))
    assert (done.code, done.json["ok"], failed_checks(done)) == (0, True, {}), done.out
    assert list(dict.fromkeys(each["check"] for each in done.json["checks"])) == CHECKS
    for name in ("configuration", "versions", "volume", "state_dir", "exchange", "clock",
                 "weight", "symbols", "websocket"):  # fmt: skip
        assert check(done, name)["verdict"] == "ok", check(done, name)
    assert "uses no TLS" in check(done, "tls")["text"]
    asked = [each["path"] for each in exchange.requests()]
    assert sorted(asked)[:2] == ["/fapi/v1/exchangeInfo", "/fapi/v1/time"]
    assert not (tmp_path / "state").exists()


def test_doctor_prints_100_columns_into_a_pipe(exchange: Exchange, tmp_path: Path) -> None:
    config = configured(exchange, tmp_path, strategy={"symbol": "NOPEUSDT-PERP.BINANCE"})
    done = job("doctor", "--config", config, "--root", tmp_path / "s", env={"COLUMNS": "72"})
    *lines, total, remedy = done.out.splitlines()
    assert done.code == 12, done.err
    assert max(len(line) for line in lines if "/" not in line) in range(73, 101)
    assert "\x1b" not in done.out
    assert "does not list the symbol NOPEUSDT" in " ".join(done.out.split())
    assert "→ correct it in the strategy file" in done.out
    assert total.startswith("1 failed, ")
    assert total.endswith("; exit code 12")
    assert remedy == "help: docs/troubleshooting.md#exit-12"


@pytest.mark.parametrize(
    ("fault", "code", "words", "remedy"),
    [
        ("451", 12, "HTTP 451", "run in another region"),
        ("403", 12, "firewall", "change the IP or set HTTPS_PROXY"),
        ("429=30", 11, "rate-limits this IP", "wait until then"),
        ("418=90", 11, "banned this IP", "wait until then"),
        ("refuse:for=1h", 10, "cannot reach", "check the network"),
        ("html", 10, "not JSON", "try again in a minute"),
    ],
)
def test_doctor_says_what_the_exchange_refuses(
    start_exchange: Callable[..., Exchange], tmp_path: Path, fault: str, code: int, words: str,
    remedy: str,
) -> None:  # fmt: skip
    exchange = start_exchange(faults=(fault,))
    done = doctor(configured(exchange, tmp_path, warmup={"deadline": "1s"}))
    assert done.code == done.json["exit_code"] == code, done.out
    found = check(done, "exchange")
    assert (found["verdict"], found["exit_code"]) == ("failed", code)
    assert words in found["text"]
    assert remedy in found["remedy"]
    for name in ("clock", "weight", "symbols"):
        assert check(done, name)["verdict"] == "skipped"
        assert check(done, name)["text"]


def test_doctor_asks_nothing_while_a_ban_is_recorded(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    exchange = start_exchange(faults=("418=90:times=1",))
    config = configured(exchange, tmp_path, warmup={"deadline": "1s"})
    assert doctor(config).code == 11
    before = len(exchange.requests())
    again = doctor(config)
    assert (again.code, failed_checks(again)) == (11, {"exchange": 11})
    assert "an earlier process recorded" in check(again, "exchange")["text"]
    assert check(again, "websocket")["verdict"] == "skipped"
    assert len(exchange.requests()) == before


def test_doctor_compares_the_clocks(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    config = configured(start_exchange(faults=("skew=+60s",)), tmp_path)
    on_paper = doctor(config)
    found = check(on_paper, "clock")
    assert (on_paper.code, found["verdict"]) == (0, "warning"), on_paper.out
    assert "behind the exchange's" in found["text"]
    assert found["remedy"] == "synchronize it by NTP"
    live = doctor(config, "--mode", "live")
    assert failed_checks(live)["clock"] == live.code == 22


def test_doctor_tries_the_websocket(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    exchange = start_exchange(faults=("ws-drop:for=1h",))
    done = doctor(configured(exchange, tmp_path))
    assert (done.code, failed_checks(done)) == (10, {"websocket": 10})
    assert "503" in check(done, "websocket")["text"]


def test_doctor_reports_a_wrong_configuration_and_checks_what_does_not_need_it(
    tmp_path: Path,
) -> None:
    done = doctor(tmp_path / "none.yaml")
    assert (done.code, failed_checks(done)) == (2, {"configuration": 2})
    assert "cannot be read" in check(done, "configuration")["text"]
    assert "docs/reference/configuration.md" in check(done, "configuration")["remedy"]
    verdicts = {each["check"]: each["verdict"] for each in done.json["checks"]}
    assert verdicts.pop("versions") == "ok"
    assert verdicts.pop("configuration") == "failed"
    assert set(verdicts.values()) == {"skipped"}
    assert ["configuration", "versions", *verdicts] == CHECKS


def test_doctor_wants_rest_and_websocket_of_one_exchange(
    exchange: Exchange, tmp_path: Path
) -> None:
    config = write_config(tmp_path, exchange.url, warmup={"deadline": "1s"})
    done = doctor(config, env=proxied("http://127.0.0.1:9"))
    found = check(done, "hosts")
    assert (found["verdict"], found["exit_code"]) == ("failed", 2)
    assert "api.ws_url is missing" in found["text"]


def test_doctor_checks_the_proxy_before_it_sends_a_request(
    exchange: Exchange, tmp_path: Path
) -> None:
    before = len(exchange.requests())
    done = doctor(configured(exchange, tmp_path), env=proxied("socks5://u:pa#ss@h:1"))
    assert (done.code, failed_checks(done)) == (2, {"proxy": 2})
    assert check(done, "exchange")["text"] == "the proxy variables cannot be used"
    assert "pa#ss" not in done.out + done.err
    assert len(exchange.requests()) == before


def test_doctor_connects_through_the_proxy(exchange: Exchange, tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://exchange.invalid", ws_url="ws://exchange.invalid")
    seen: list[str] = []
    with serving(forward_proxy(exchange, seen, "some one:hunter2")) as port:
        done = doctor(config, env=proxied(f"http://some%20one:hunter2@127.0.0.1:{port}"))
    assert done.code == 0, done.out
    assert "CONNECT exchange.invalid:80 HTTP/1.1" in seen
    assert check(done, "websocket")["verdict"] == "ok"
    assert check(done, "dns")["verdict"] == "skipped"
    assert f"127.0.0.1:{port}" in check(done, "proxy")["text"]
    assert "hunter2" not in done.out + done.err


def test_doctor_says_that_the_proxy_refuses_the_login(exchange: Exchange, tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://exchange.invalid", ws_url="ws://exchange.invalid")
    with serving(forward_proxy(exchange, [], "some one:right")) as port:
        done = doctor(config, env=proxied(f"http://some%20one:hunter2@127.0.0.1:{port}"))
    assert failed_checks(done) == {"exchange": 10, "websocket": 10}
    assert "407" in check(done, "websocket")["text"]
    assert check(done, "websocket")["remedy"] == "correct the variable"
    assert "hunter2" not in done.out + done.err


def test_doctor_resolves_the_names_of_the_hosts(tmp_path: Path) -> None:
    config = write_config(
        tmp_path, "http://rest.invalid", ws_url="ws://streams.invalid",
        warmup={"deadline": "1s"},
    )  # fmt: skip
    done = doctor(config, env=proxied(""))
    named = [each for each in done.json["checks"] if each["check"] == "dns"]
    assert [each["exit_code"] for each in named] == [10, 10]
    for each, host, key in zip(
        named, ("rest.invalid", "streams.invalid"), ("api.base_url", "api.ws_url"), strict=True
    ):
        assert f"the name {host} cannot be resolved" in each["text"]
        assert f"correct {key}" in each["remedy"]
    assert check(done, "websocket")["remedy"] == "check the network and api.ws_url"
    assert done.code == 10


def test_doctor_checks_tls_as_each_client_will(exchange: Exchange, tmp_path: Path) -> None:
    """REST trusts the authority of SSL_CERT_FILE, Nautilus' websocket does not."""
    context, authority = certificate(tmp_path, days=(-1, 30))
    env = {"SSL_CERT_FILE": str(authority)} | proxied("")
    with serving(tunnel_to(exchange), context) as port:
        config = write_config(
            tmp_path / "c", f"https://localhost:{port}", ws_url=f"wss://localhost:{port}",
            warmup={"deadline": "1s"},
        )  # fmt: skip
        done = doctor(config, env=env)
        unknown = doctor(config, env=proxied(""))
    rest, streams = [each for each in done.json["checks"] if each["check"] == "tls"]
    assert (rest["verdict"], streams["verdict"]) == ("ok", "failed"), done.out
    assert "certificate ends in 29 days" in rest["text"]
    assert "self-signed certificate" in streams["text"]
    assert "trusts public certificate authorities only" in streams["remedy"]
    assert check(done, "exchange")["verdict"] == "ok"
    rest, _ = [each for each in unknown.json["checks"] if each["check"] == "tls"]
    assert (rest["verdict"], unknown.code) == ("failed", 10)
    assert "set SSL_CERT_FILE" in rest["remedy"]


def test_doctor_tries_to_write_both_folders(exchange: Exchange, tmp_path: Path) -> None:
    config = configured(exchange, tmp_path)
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot/current").write_text("not ours")
    (tmp_path / "state").write_text("a file")
    done = doctor(config)
    assert (done.code, failed_checks(done)) == (15, {"volume": 15})
    assert "is not a symbolic link" in check(done, "volume")["text"]
    assert check(done, "volume")["remedy"] == "move it away"
    state = check(done, "state_dir")
    assert state["verdict"] == "warning"
    assert "cannot be used" in state["text"]
    assert "trade.state_dir" in state["remedy"]
    live = doctor(config, "--mode", "live")
    assert failed_checks(live)["state_dir"] == 22


def test_doctor_knows_the_read_only_volume_of_a_trader_and_a_full_one(
    exchange: Exchange, tmp_path: Path
) -> None:
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 100}]
    config = configured(exchange, tmp_path / "c", warmup={"streams": streams})
    with mounted(tmp_path / "mount", "size=256k") as mount:
        asked = ("doctor", "--json", "--config", config, "--root", mount.path)
        filled = job("run", "--config", config, "--root", mount.root)
        assert filled.code == 0, filled.err
        left = space_at(mount.root).free_bytes
        (mount.root / "filler").write_bytes(bytes(left - 24 * 1024))
        full = mount.job(*asked)
        assert failed_checks(full) == {"volume": 15}, full.out
        assert "is full" in check(full, "volume")["text"]
        mount.remount("ro")
        found = check(mount.job(*asked), "volume")
    assert found["verdict"] == "warning"
    assert "right for a trader" in found["remedy"]


def own_strategy(exchange: Exchange, folder: Path, **changes: Any) -> Path:
    """Write a configuration of Nautilus' EMACross, whose averages have 10 and 20 bars."""
    config = configured(exchange, folder, **changes)
    bar_type = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
    (folder / "strategy.yaml").write_text(
        json.dumps(
            {
                "strategy_path": f"{CROSS}:EMACross",
                "config_path": f"{CROSS}:EMACrossConfig",
                "config": {
                    "instrument_id": "BTCUSDT-PERP.BINANCE", "bar_type": bar_type,
                    "trade_size": "0.01", "fast_ema_period": 10, "slow_ema_period": 20,
                    "oms_type": "HEDGING",
                },
            }
        )
    )  # fmt: skip
    return config


@needs_nautilus
def test_doctor_compares_the_declared_indicators_with_the_strategy(
    exchange: Exchange, tmp_path: Path
) -> None:
    declared = [{"kind": "ema", "period": 10}, {"kind": "ema", "period": 30}]
    done = doctor(own_strategy(exchange, tmp_path / "1", warmup={"indicators": declared}))
    lines = [each for each in done.json["checks"] if each["check"] == "indicators"]
    assert (done.code, {each["verdict"] for each in lines}) == (0, {"warning"}), done.out
    assert "declares ema 30, which the strategy has not made" in lines[0]["text"]
    assert "the strategy has made ExponentialMovingAverage(20)" in lines[1]["text"]
    assert "add {kind: ema, period: 20} there" in lines[1]["remedy"]
    declared[1]["period"] = 20
    right = doctor(own_strategy(exchange, tmp_path / "2", warmup={"indicators": declared}))
    assert check(right, "indicators")["verdict"] == "ok", right.out
    assert check(right, "strategy")["text"].startswith("EMACross: imported")


@needs_nautilus
def test_doctor_says_why_a_strategy_cannot_be_imported(exchange: Exchange, tmp_path: Path) -> None:
    config = own_strategy(
        exchange, tmp_path, warmup={"indicators": [{"kind": "ema", "period": 20}]}
    )
    file = tmp_path / "strategy.yaml"
    file.write_text(file.read_text().replace(f'{CROSS}:EMACross"', f'{CROSS}:EMACros"', 1))
    done = doctor(config)
    assert (done.code, failed_checks(done)) == (2, {"strategy": 2}), done.out
    assert "did you mean EMACross?" in check(done, "strategy")["text"]
    assert "strategy_path" in check(done, "strategy")["remedy"]
    assert check(done, "indicators")["verdict"] == "skipped"
    assert check(done, "exchange")["verdict"] == "ok"


@needs_nautilus
def test_doctor_checks_what_live_trading_requires(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    exchange = start_exchange()
    lacking = doctor(configured(exchange, tmp_path / "1"), "--mode", "live")
    assert failed_checks(lacking) == {"live": 22}
    assert "api.api_key in the venue file" in lacking.out
    assert check(lacking, "account")["verdict"] == "skipped"
    ready = job("doctor", "--config", "configs/demo.yaml", "--root", tmp_path / "v",
                "--mode", "live", "--json", env=exchange.env())  # fmt: skip
    assert ready.code == 0, ready.out
    assert check(ready, "live")["verdict"] == check(ready, "account")["verdict"] == "ok"
    assert not [each for each in exchange.requests() if "order" in each["path"].lower()]
