"""A live trader on the local exchange, over several lives, judged by the oracle at the end."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.commands import JobProcess, job, job_process
from tests.support.config_files import write_config
from tests.support.exchange import Exchange, running_exchange
from tests.support.made_up_recording import (
    Candle,
    calm,
    minute_of,
    record,
    record_seconds,
    seconds,
    turns,
    widening_turns,
)
from tests.support.oracle import Bounds, Excuse, Verdict, judge, wallet_story
from tests.support.oracle_replay import Entry, kind_and_key, number
from tests.support.oracle_story import Observation
from tests.support.suite import HANG_S

_LEAVING_MS = 3_000  # so long at least a trader that stops answers events; see docs/trading.md
KEYS = {"KEY": "local-key", "SECRET": "local-secret"}
PRICE = Decimal(50_000)
_STATE = re.compile(
    "(starting|verifying|warming|filling|live|paused|degraded|stopping): (.*)", re.DOTALL
)
_LOOK_S = 0.1
_UNCOUNTED = ("user-expire", "pieces")

GRID: Mapping[str, Mapping[str, Any]] = {
    "grid": {"grid_step_bps": 10, "grid_levels_long": 5, "grid_levels_short": 5, "qty_scale": 1},
    "exit": {"tp_steps": 2, "sl_steps": 8},
}
"""Changes of the shipped strategy file."""
RUNGS = widening_turns(PRICE, 10, 5)
"""Each turn reaches one rung more, so that entries and targets are filled all the time."""
DEEP = turns(PRICE, 45, 3)
"""Each turn passes several rungs, so that near stops are triggered."""


class Reported(NamedTuple):
    """What the strategy has counted of its account."""

    at_ms: int
    """Until when, by the exchange's clock."""
    result: Decimal
    """Realised, fees and funding, quote currency."""


@dataclass
class Life:
    """One process of the trader."""

    process: JobProcess
    log: Path
    ended_ms: int | None = None
    """When its end was asked for or noticed, by this machine's clock."""
    out: str = ""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of its log, parsed."""
        complete = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in complete.splitlines() if line[:1] == "{"]

    @property
    def observations(self) -> list[Observation]:
        """Its states as it logged them; times by this machine's clock."""
        seen = []
        for line in self.lines:
            match = _STATE.match(line["message"])
            if match:
                at_ms = round(datetime.fromisoformat(line["time"]).timestamp() * 1000)
                seen.append(Observation(at_ms, match[1], match[2]))
        if self.ended_ms is not None:
            seen = [each for each in seen if each.at_ms <= self.ended_ms]
            seen.append(Observation(self.ended_ms, "dead", "its process has ended"))
        return seen


@dataclass
class LiveTrader:
    """The exchange, the configuration and the trader's lives.

    Every wait fails with the trader's log when the trader ends, or after a time that nothing
    should take.
    """

    folder: Path
    exchange: Exchange
    config: Path
    ends: contextlib.ExitStack
    bounds: Bounds
    lives: list[Life] = field(default_factory=list)
    excuses: list[Excuse] = field(default_factory=list)
    journal: list[Entry] = field(default_factory=list)

    # -- the exchange ------------------------------------------------------------------------------

    def account(self) -> dict[str, Any]:
        """Return the exchange's account, and add what is new to `journal`."""
        url = f"{self.exchange.url}/_sim/account?after={len(self.journal)}"
        with urllib.request.urlopen(url) as answer:
            account = dict(json.load(answer))
        self.journal += account["journal"]
        return account

    def held(self) -> dict[str, Decimal]:
        """Return the absolute quantity of each open position, by its side."""
        positions = self.account()["positions"]
        held = {each["position_side"]: abs(number(each["quantity"])) for each in positions}
        return {side: quantity for side, quantity in held.items() if quantity}

    def open_orders(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the open orders of these kinds (E, T, S); without a kind all."""
        orders = self.account()["orders"]
        return [each for each in orders if not kinds or kind_and_key(each["client_id"])[0] in kinds]

    def fills(self, kind: str) -> int:
        """Return how many fills orders of this kind (E, T, S) have had."""
        self.account()
        return sum(
            each["event"] == "fill" and kind_and_key(each["client_id"])[0] == kind
            for each in self.journal
        )

    def accepted(self, kind: str) -> int:
        """Return how many orders of this kind (E, T, S) the exchange has accepted."""
        self.account()
        ids = {each["client_id"] for each in self.journal if each["event"] == "order"}
        return sum(kind_and_key(each)[0] == kind for each in ids)

    def pay_funding(self, rate: str) -> None:
        """Let the positions pay or receive funding now, at this rate."""
        self._post("/_sim/funding", f"BTCUSDT={rate}")

    def transfer(self, amount: str) -> None:
        """Deposit this amount to the wallet, or withdraw it if it is negative."""
        self._post("/_sim/transfer", amount)

    def _post(self, path: str, body: str) -> None:
        request = urllib.request.Request(self.exchange.url + path, body.encode(), method="POST")
        urllib.request.urlopen(request).close()

    def every_fault_fired(self) -> bool:
        """Return whether every fault that counts its hits has hit something, or ended."""
        with urllib.request.urlopen(f"{self.exchange.url}/_sim/faults") as answer:
            faults = json.load(answer)
        return all(
            each["fired"] or not each["active"] or each["spec"].startswith(_UNCOUNTED)
            for each in faults
        )

    # -- waiting -----------------------------------------------------------------------------------

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until ``condition()`` is true, while the trader runs."""
        give_up_at = time.monotonic() + HANG_S
        while not condition():
            life = self.lives[-1]
            assert life.process.poll() is None, f"ended before: {what}\n{life.log.read_text()}"
            assert time.monotonic() < give_up_at, f"still not: {what}\n{self._told()}"
            time.sleep(_LOOK_S)

    def until_state(self, *states: str) -> None:
        """Wait until the trader is in one of these states."""
        self.until(lambda: self.state in states, f"the trader is {' or '.join(states)}")

    def until_fills(self, kind: str, more: int = 1) -> None:
        """Wait for this many more fills of a kind (E, T, S)."""
        wanted = self.fills(kind) + more
        self.until(lambda: self.fills(kind) >= wanted, f"{more} more fill(s) of {kind}")

    def until_accepted(self, kind: str) -> None:
        """Wait until the exchange has accepted one more order of a kind (E, T, S)."""
        before = self.accepted(kind)
        self.until(lambda: self.accepted(kind) > before, f"one more order of {kind}")

    def until_protected(self) -> None:
        """Wait until stops cover every position."""
        self.until(self.is_protected, "stops cover every position")

    def is_protected(self) -> bool:
        """Return whether stops cover every position now."""
        account = self.account()
        for each in account["positions"]:
            stops = sum(
                number(order["quantity"])
                for order in account["orders"]
                if order["position_side"] == each["position_side"]
                and kind_and_key(order["client_id"])[0] == "S"
            )
            if stops < abs(number(each["quantity"])):
                return False
        return True

    # -- the trader's lives ------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The state that the trader has logged last."""
        seen = self.lives[-1].observations
        return seen[-1].state if seen else "starting"

    def start(self) -> None:
        """Start the trader, and wait until it is live or paused; until then its time is excused."""
        log = self.folder / f"log-{len(self.lives)}"
        options = ("--config", self.config, "--mode", "live", "--json")
        process = self.ends.enter_context(job_process("trade", *options, env=KEYS, log=log))
        self.lives.append(Life(process, log))
        self.until_state("live", "paused")
        if len(self.lives) > 1:
            seen = self.observations
            last = max(at for at, each in enumerate(seen) if each.state == "dead")
            self.excuse(left_ms(seen[: last + 1]), "the trader was dead")

    def end(self, ending: signal.Signals = signal.SIGTERM) -> int:
        """End the trader by a signal; return its exit code."""
        life = self.lives[-1]
        asked_ms = _now_ms()
        life.process.send_signal(ending)
        code = life.process.wait(HANG_S)
        life.ended_ms = asked_ms if ending == signal.SIGKILL else _now_ms()
        life.out, _ = life.process.communicate()
        return code

    def kill(self) -> None:
        """End the trader by SIGKILL."""
        assert self.end(signal.SIGKILL) == -signal.SIGKILL

    def terminate(self) -> None:
        """End the trader by SIGTERM; it must end in order."""
        code = self.end()
        assert code == 143, f"exit code {code}\n{self.lives[-1].log.read_text()}"

    def restart(self, ending: signal.Signals = signal.SIGTERM) -> None:
        """End the trader and start it again."""
        self.terminate() if ending == signal.SIGTERM else self.kill()
        self.start()

    def excuse(self, from_ms: int, why: str) -> None:
        """Excuse the time from ``from_ms`` (the exchange's clock) until now."""
        self.excuses.append(Excuse(from_ms, self.exchange.now_ms(), why))

    @property
    def observations(self) -> list[Observation]:
        """The states of all lives by the exchange's clock, oldest first."""
        shift_ms = self.exchange.now_ms() - _now_ms()
        return [
            each._replace(at_ms=each.at_ms + shift_ms)
            for life in self.lives
            for each in life.observations
        ]

    # -- the oracle --------------------------------------------------------------------------------

    def reported(self) -> Reported:
        """Return the result that the strategy has saved."""
        (path,) = (self.folder / "state" / "live").glob("*.json")
        saved = json.loads(path.read_text())
        account = json.loads(base64.b64decode(saved["state"]["grid"]))["account"]
        parts = {name: number(account[name]) for name in ("realised", "fees", "funding")}
        return Reported(account["at_ms"], parts["realised"] - parts["fees"] + parts["funding"])

    def until_reported(self) -> None:
        """Wait until the strategy has counted everything that changed the wallet until now."""
        self.account()
        changes = [each["at_ms"] for each in self.journal if each["event"] == "wallet"]
        self.until(
            lambda: not changes or self.reported().at_ms >= changes[-1],
            "the strategy reports the wallet's last change",
        )

    def verdict(self, is_foreign: Callable[[str], bool] = lambda _: False) -> Verdict:
        """Let the oracle judge everything until now."""
        now_ms = int(self.account()["now_ms"])
        seen = self.observations
        at_the_end = []
        if seen[-1].state == "dead":
            at_the_end = [Excuse(left_ms(seen), now_ms, "the trader has ended")]
        return judge(
            self.journal,
            seen,
            now_ms=now_ms,
            bounds=self.bounds,
            excuses=[*self.excuses, *at_the_end],
            is_foreign=is_foreign,
        )

    def assert_the_oracle_is_silent(
        self, is_foreign: Callable[[str], bool] = lambda _: False
    ) -> Verdict:
        """Fail with the oracle's story, or if the trader logged an exception."""
        verdict = self.verdict(is_foreign)
        verdict.assert_silent()
        for life in self.lives:
            assert "Traceback" not in life.log.read_text(), life.log.read_text()
        return verdict

    def assert_the_wallet_is_as_reported(self) -> None:
        """Compare the wallet with the last result that the strategy has saved."""
        self.account()
        reported = self.reported()
        story = wallet_story(self.journal, reported.result, at_ms=reported.at_ms, slack_ms=0)
        assert not story, story

    def errors(self) -> list[str]:
        """Return the errors that the trader logged, without the expected ones.

        Nautilus books the fill of a triggered stop twice, once from its algo order, and its
        engine drops the second one with an error.
        """
        expected = ("stopped by a signal", "Order overfill rejected: ClientOrderId('S")
        return [
            line["message"]
            for life in self.lives
            for line in life.lines
            if line["level"] == "ERROR" and not any(each in line["message"] for each in expected)
        ]

    def _told(self) -> str:
        return "\n".join([*self.lives[-1].log.read_text().splitlines()[-40:], str(self.account())])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def left_ms(seen: Sequence[Observation]) -> int:
    """Return from when on a trader whose last state is "dead" did nothing any more."""
    dead_ms = seen[-1].at_ms
    asked_ms = next((each.at_ms for each in seen[-2:] if each.state == "stopping"), dead_ms)
    return min(dead_ms, asked_ms + _LEAVING_MS)


@contextlib.contextmanager
def live_trader(
    folder: Path,
    *,
    grid: Mapping[str, Mapping[str, Any]] | None = None,
    trade: Mapping[str, Any] | None = None,
    venue: Mapping[str, Any] | None = None,
    bounds: Bounds | None = None,
    market: Sequence[Decimal] = RUNGS,
    **exchange: Any,
) -> Iterator[LiveTrader]:
    """Start an exchange, and warm up a snapshot for a live trader on it, which is not started.

    Args:
        folder: for configuration, snapshot, state and logs.
        grid: changes of the strategy file, by section.
        trade: the configuration's section ``trade``.
        venue: changes of the venue file.
        bounds: what the oracle tolerates.
        market: where the price turns in each minute, unless ``exchange`` names another market.
        exchange: options of the exchange.
    """
    if not exchange.keys() & {"replay", "volatility_bps"}:
        exchange |= swinging(folder, market)
    with running_exchange(**exchange) as running, contextlib.ExitStack() as ends:
        config = write_config(
            folder,
            running.url,
            ws_url=running.ws_url,
            venue={
                "api": {
                    "base_url": running.url,
                    "ws_url": running.ws_url,
                    "api_key": "${KEY}",
                    "api_secret": "${SECRET}",
                },
                "trading": {"hedge_mode": True, "leverage": 5},
                **(venue or {}),
            },
            warmup={"require": "proven"},
            snapshot={"root": str(folder / "snapshot")},
            trade={"state_dir": str(folder / "state"), "silence": "5s", **(trade or {})},
        )
        _change_strategy(folder / "strategy.yaml", GRID, grid or {})
        done = job("run", "--config", config, env=KEYS)
        assert done.code == 0, done.err
        yield LiveTrader(folder, running, config, ends, bounds or Bounds())


def recorded(folder: Path, future: list[Candle]) -> dict[str, Any]:
    """Return the exchange's options for calm minutes in the past, and then these from now on."""
    recording = record(folder, calm(3_000, PRICE), future)
    return {"replay": (str(recording),)}  # it has the present, so its clock is this machine's


def swinging(folder: Path, corners: Sequence[Decimal], minutes: int = 60) -> dict[str, Any]:
    """Return the exchange's options for minutes in which the price turns at these corners.

    A second recording has their seconds, by which the exchange trades.
    """
    each = seconds(corners)
    finer = record_seconds(folder, each, minutes)
    options = recorded(folder, [minute_of(each)] * minutes)
    return options | {"replay": (*options["replay"], str(finer))}


def _change_strategy(path: Path, *changes: Mapping[str, Mapping[str, Any]]) -> None:
    strategy = yaml.safe_load(path.read_text())
    for sections in changes:
        for section, keys in sections.items():
            strategy[section] = strategy.get(section, {}) | dict(keys)
    path.write_text(json.dumps(strategy))
