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
from tests.support.config_files import LIVE_KEYS, write_live_config
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
from tests.support.oracle import Bounds, Excuse, Verdict, judge, wallet_change, wallet_story
from tests.support.oracle_replay import Entry, kind_and_key, number
from tests.support.oracle_story import Observation
from tests.support.suite import HANG_S
from tests.support.waiting import until

_LEAVING_MS = 3_000  # a trader that stops answers events so long; see docs/explanation/trading.md
BY_HAND = "web_"
"""Ids of orders that a test places as somebody else begin with this."""
PRICE = Decimal(50_000)
_STATE = re.compile(
    "(starting|verifying|warming|filling|live|paused|degraded|stopping): (.*)", re.DOTALL
)
_LOOK_S = 0.1
MINUTES = 60
"""How long a market of turns lasts."""
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

    process: JobProcess | None
    """None: the trader runs in the test's own process."""
    log: Path
    ended_ms: int | None = None
    """When its end was asked for or noticed, by this machine's clock."""
    asked_ms: int | None = None
    """When a signal asked it to end, by this machine's clock."""
    _read: int = 0
    _lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def running(self) -> JobProcess:
        """Its process."""
        assert self.process is not None
        return self.process

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The complete lines of its log so far, parsed."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            new = log.read().rpartition(b"\n")[0]
        if new:
            self._read += len(new) + 1
            self._lines += [json.loads(line) for line in new.splitlines() if line[:1] == b"{"]
        return self._lines

    @property
    def could_not_read(self) -> bool:
        """Whether the exchange did not tell it at its end what it has earned."""
        return any("what the account has earned" in each["message"] for each in self.lines)

    @property
    def last_ms(self) -> int:
        """When it logged its last line, by this machine's clock."""
        return _logged_ms(self.lines[-1])

    @property
    def observations(self) -> list[Observation]:
        """Its states as it logged them; times by this machine's clock."""
        seen = []
        for line in self.lines:
            match = _STATE.match(line["message"])
            if match:
                seen.append(Observation(_logged_ms(line), match[1], match[2]))
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
        account = self.exchange.account(after=len(self.journal))
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
        """Return whether every fault that counts its hits has hit something."""
        with urllib.request.urlopen(f"{self.exchange.url}/_sim/faults") as answer:
            faults = json.load(answer)
        return all(each["fired"] or each["spec"].startswith(_UNCOUNTED) for each in faults)

    # -- waiting -----------------------------------------------------------------------------------

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until ``condition()`` is true, while the trader runs."""
        told = lambda: f"{what}\n{self._told()}"  # noqa: E731
        until(condition, told, process=self.lives[-1].running, look_s=_LOOK_S)

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
        process = self.ends.enter_context(job_process("trade", *options, env=LIVE_KEYS, log=log))
        self.lives.append(Life(process, log))
        self.until_state("live", "paused")

    def end(self, ending: signal.Signals = signal.SIGTERM) -> None:
        """End the trader by a signal; after SIGTERM it must end in order."""
        life = self.lives[-1]
        assert life.running.poll() is None, f"it has ended by itself\n{life.log.read_text()}"
        life.asked_ms = _now_ms()
        life.running.send_signal(ending)
        code = life.running.wait(HANG_S)
        life.ended_ms = life.asked_ms if ending == signal.SIGKILL else _now_ms()
        expected = 143 if ending == signal.SIGTERM else -ending
        assert code == expected, f"exit code {code}\n{life.log.read_text()}"

    def kill(self) -> None:
        """End the trader by SIGKILL."""
        self.end(signal.SIGKILL)

    def terminate(self) -> None:
        """End the trader by SIGTERM; it must end in order."""
        self.end()

    def restart(self, ending: signal.Signals = signal.SIGTERM) -> None:
        """End the trader and start it again."""
        self.end(ending)
        self.start()

    def excuse(self, from_ms: int, why: str) -> None:
        """Excuse the time from ``from_ms`` (the exchange's clock) until now."""
        self.excuses.append(Excuse(from_ms, self.exchange.now_ms(), why))

    @property
    def observations(self) -> list[Observation]:
        """The states of all lives by the exchange's clock, oldest first."""
        shift_ms = self._shift_ms()
        return [
            each._replace(at_ms=each.at_ms + shift_ms)
            for life in self.lives
            for each in life.observations
        ]

    def _shift_ms(self) -> int:
        """Return by how much the exchange's clock is ahead of this machine's."""
        return self.exchange.now_ms() - _now_ms()

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

    def verdict(self) -> Verdict:
        """Let the oracle judge everything until now."""
        now_ms = int(self.account()["now_ms"])
        seen = self.observations
        return judge(
            self.journal,
            seen,
            now_ms=now_ms,
            bounds=self.bounds,
            excuses=[*self.excuses, *between_lives(seen, now_ms)],
            is_foreign=lambda client_id: client_id.startswith(BY_HAND),
        )

    def assert_all_is_well(self) -> None:
        """Fail with the oracle's story, or if the trader logged an exception.

        The wallet must be what the strategy has saved last.
        """
        self.verdict().assert_silent()
        for life in self.lives:
            assert "Traceback" not in life.log.read_text(), life.log.read_text()
        if wallet_change(self.journal):
            reported, last = self.reported(), self.lives[-1]
            if last.asked_ms is not None and last.ended_ms != last.asked_ms:
                asked_ms = last.asked_ms + self._shift_ms()
                changes = [each["at_ms"] for each in self.journal if each["event"] == "wallet"]
                before = [at_ms for at_ms in changes if at_ms <= asked_ms]
                is_counted = not before or reported.at_ms >= before[-1]
                assert is_counted or last.could_not_read, "its end has not counted everything"
            story = wallet_story(self.journal, reported.result, at_ms=reported.at_ms, slack_ms=0)
            assert not story, story

    def errors(self) -> list[str]:
        """Return the errors that the trader logged, except that it was stopped by a signal."""
        return [
            line["message"]
            for life in self.lives
            for line in life.lines
            if line["level"] == "ERROR" and "stopped by a signal" not in line["message"]
        ]

    def _told(self) -> str:
        return "\n".join([*self.lives[-1].log.read_text().splitlines()[-40:], str(self.account())])


def _logged_ms(line: Mapping[str, Any]) -> int:
    return round(datetime.fromisoformat(line["time"]).timestamp() * 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def between_lives(seen: Sequence[Observation], now_ms: int) -> Iterator[Excuse]:
    """Yield the times in which no trader was there: from an end to the next trader that is live."""
    for at, each in enumerate(seen):
        if each.state == "dead":
            asked_ms = seen[at - 1].at_ms if seen[at - 1].state == "stopping" else each.at_ms
            left_ms = min(each.at_ms, asked_ms + _LEAVING_MS)
            back_ms = next((s.at_ms for s in seen[at:] if s.state in {"live", "paused"}), now_ms)
            yield Excuse(left_ms, back_ms, "the trader was dead")


@contextlib.contextmanager
def live_trader(
    folder: Path,
    *,
    grid: Mapping[str, Mapping[str, Any]] | None = None,
    bounds: Bounds | None = None,
    market: Sequence[Decimal] = RUNGS,
    **exchange: Any,
) -> Iterator[LiveTrader]:
    """Start an exchange, and warm up a snapshot for a live trader on it, which is not started.

    At the end the oracle judges the whole run.

    Args:
        folder: for configuration, snapshot, state and logs.
        grid: changes of the strategy file, by section.
        bounds: what the oracle tolerates.
        market: where the price turns in each minute, unless ``exchange`` names another market.
        exchange: options of the exchange.
    """
    if not exchange.keys() & {"replay", "volatility_bps"}:
        exchange |= swinging(folder, market)
    with running_exchange(**exchange) as running, contextlib.ExitStack() as ends:
        config = write_live_config(folder, running, trade={"silence": "5s"})
        _change_strategy(folder / "strategy.yaml", GRID, grid or {})
        done = job("run", "--config", config, env=LIVE_KEYS)
        assert done.code == 0, done.err
        trader = LiveTrader(folder, running, config, ends, bounds or Bounds())
        yield trader
        trader.assert_all_is_well()


def assert_all_was_well(
    config: Path, exchange: Exchange, logs: Sequence[Path], bounds: Bounds | None = None
) -> None:
    """Let the oracle judge lives that have ended.

    Args:
        config: the traders' configuration, alone in its folder.
        exchange: where they traded; nothing else has.
        logs: of each life, in order.
        bounds: what the oracle tolerates.
    """
    lives = [Life(None, log) for log in logs]
    for life in lives:
        life.ended_ms = life.last_ms
    nothing = contextlib.ExitStack()
    trader = LiveTrader(config.parent, exchange, config, nothing, bounds or Bounds(), lives)
    trader.assert_all_is_well()


def recorded(folder: Path, future: list[Candle]) -> dict[str, Any]:
    """Return the exchange's options for calm minutes in the past, and then these from now on."""
    recording = record(folder, calm(3_000, PRICE), future)
    return {"replay": (str(recording),)}  # it has the present, so its clock is this machine's


def swinging(folder: Path, corners: Sequence[Decimal]) -> dict[str, Any]:
    """Return the exchange's options for minutes in which the price turns at these corners.

    A second recording has their seconds, by which the exchange trades.
    """
    each = seconds(corners)
    finer = record_seconds(folder, each, MINUTES)
    options = recorded(folder, [minute_of(each)] * MINUTES)
    return options | {"replay": (*options["replay"], str(finer))}


def _change_strategy(path: Path, *changes: Mapping[str, Mapping[str, Any]]) -> None:
    strategy = yaml.safe_load(path.read_text())
    for sections in changes:
        for section, keys in sections.items():
            strategy[section] = strategy.get(section, {}) | dict(keys)
    path.write_text(json.dumps(strategy))
