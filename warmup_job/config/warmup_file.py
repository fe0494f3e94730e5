"""warmup.yaml: a venue file and a strategy file joined with what is ours, and the options.

An option stands in for a key of the file: on the command line first, then in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from warmup_job.binance.endpoints import Verdict
from warmup_job.config.document import read_document
from warmup_job.config.fields import (
    Between,
    FieldReader,
    Given,
    Section,
    Written,
    read_file,
    usable,
)
from warmup_job.config.strategy_file import AnyStrategy, read_strategy
from warmup_job.config.values import (
    balance,
    duration_ms,
    indicator_kind,
    interval,
    paths,
    references,
    shown,
    symbol,
)
from warmup_job.config.venue_file import VenueConfig
from warmup_job.errors import ConfigError
from warmup_job.modes import FirstBar, Orders, Replay
from warmup_job.regime.indicator_names import BOUNDED_KINDS

if TYPE_CHECKING:
    from warmup_job.market.pages import Market

OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "venue": ("venue",),
    "strategy": ("strategy",),
    "streams": ("warmup", "streams"),
    "require": ("warmup", "require"),
    "indicators": ("warmup", "indicators"),
    "max_bars": ("warmup", "max_bars"),
    "max_gap_bars": ("warmup", "max_gap_bars"),
    "budget_share": ("warmup", "budget_share"),
    "deadline": ("warmup", "deadline"),
    "on_failure": ("warmup", "on_failure"),
    "root": ("snapshot", "root"),
    "keep": ("snapshot", "keep"),
    "max_age": ("snapshot", "max_age"),
    "state_dir": ("trade", "state_dir"),
    "http_port": ("trade", "http_port"),
    "on_stop": ("trade", "on_stop"),
    "on_gap": ("trade", "on_gap"),
    "silence": ("trade", "silence"),
    "first_bar": ("trade", "first_bar"),
    "replay": ("trade", "replay"),
}
"""Every option and the key that it stands in for; in the environment ``WARMUP_`` + upper case."""


def _listed(*keys: str, least: int) -> Callable[[object], object]:
    """Reads ``a:b,c:d`` as the list of mappings that it abbreviates; a list is left alone."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        items = []
        for item in value.split(","):
            parts = [part.strip() for part in item.split(":")]
            if not least <= len(parts) <= len(keys):
                short, long = (":".join(keys[:count]).upper() for count in (least, len(keys)))
                raise ValueError(f"{shown(item)} is not {short} or {long}")
            items.append(dict(zip(keys, parts, strict=False)))
        return items

    return read


_streams = _listed("symbol", "interval", "bars", least=2)
_indicators = _listed("kind", "period", "bars", least=2)


class StreamSection(Section, frozen=True, kw_only=True):
    """One series of bars."""

    symbol: Annotated[str, Written(symbol)]
    """Binance's symbol, also where the file has a Nautilus id."""
    interval: Annotated[str, Written(interval)]
    """One that Binance has; whether this market has it, is judged with the venue file."""
    bars: Annotated[int | Literal["auto"], Between(1, 5_000_000)] = "auto"
    price: Literal["last", "mark"] = "last"
    """Mark prices exist on futures only."""


class Indicator(Section, frozen=True, kw_only=True):
    """An indicator of the strategy's, other than those of its regime detector."""

    kind: Annotated[str, Written(indicator_kind)]
    """By the name that `kind_of` gives it, however it is written."""
    period: Annotated[int, Between(1)]
    bars: Annotated[int, Between(0)] = 0
    """How many bars it takes; 0: by its kind."""
    interval: Annotated[str, Written(interval)] = "1m"

    def complaint(self) -> str | None:
        """An unknown kind needs a count."""
        if self.bars or self.kind in BOUNDED_KINDS:
            return None
        return (
            f"bars: missing; how many {self.kind} needs is not known (it is known of "
            f"{', '.join(BOUNDED_KINDS)}, and of Nautilus' classes for them)"
        )


class WarmupSection(Section, frozen=True, kw_only=True):
    """How much is fetched, at what cost, and what happens if it cannot be."""

    streams: Annotated[tuple[StreamSection, ...], Written(_streams)] = ()
    """Empty: what the strategy needs."""
    require: Literal["proven", "bars"] = "proven"
    """Before an order may leave: the regime proven to be the same for every past, or a count."""
    indicators: Annotated[tuple[Indicator, ...], Written(_indicators)] = ()
    max_bars: Annotated[int, Between(1)] = 3000
    max_gap_bars: Annotated[int, Between(0)] = 0
    budget_share: Annotated[float, Between(above=0, at_most=1, unit="fraction")] = 0.5
    """Of the venue's ``rate_limits.weight_per_minute``."""
    deadline_ms: Annotated[int, Written(duration_ms)] = msgspec.field(
        name="deadline", default=60_000
    )
    on_failure: Literal["proceed", "fail"] = "proceed"


class SnapshotSection(Section, frozen=True, kw_only=True):
    """The volume."""

    root: Path = Path("/snapshot")
    keep: Annotated[int, Between(1)] = 3
    max_age_ms: Annotated[int, Written(duration_ms)] = msgspec.field(
        name="max_age", default=600_000
    )


class TradeSection(Section, frozen=True, kw_only=True):
    """The trader's own."""

    state_dir: Path = Path("/state")
    http_port: Annotated[int | None, Between(0, 65_535)] = None
    """Of /healthz, /readyz and /metrics; None: they are not served. 0: any free port."""
    http_host: str = "0.0.0.0"  # noqa: S104 - Kubernetes' probes come from outside of the pod
    on_stop: Orders = "cancel_entries"
    """When the trader is told to stop, or cannot go on."""
    on_gap: Orders = "cancel_entries"
    """When bars are missing that cannot be had, or warmth can no longer be vouched for."""
    silence_ms: Annotated[int, Written(duration_ms), Between(1_000, 600_000)] = msgspec.field(
        name="silence", default=10_000
    )
    """How long a websocket stream may say nothing before trading halts."""
    first_bar: FirstBar = "history"
    """What the newest bar is at the start, if it closed more than a minute ago; HedgeGridV1 always
    has it in on_bar."""
    replay: Replay = "none"
    """Whether history goes through on_bar of strategies that receive it in no other way."""
    starting_balances: tuple[Annotated[str, Written(balance)], ...] = ("10000 USDT",)
    """Of the paper account, such as ``10000 USDT``."""


class _Joined(Section, frozen=True, kw_only=True):
    """warmup.yaml as it is written."""

    venue: Path
    strategy: Annotated[tuple[Path, ...], Written(paths)]
    warmup: WarmupSection = WarmupSection()
    snapshot: SnapshotSection = SnapshotSection()
    trade: TradeSection = TradeSection()


class WarmupConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that there is to know before anything starts."""

    venue: VenueConfig
    strategies: tuple[AnyStrategy, ...]
    """One or more, in the order in which the file names them."""
    warmup: WarmupSection = WarmupSection()
    snapshot: SnapshotSection = SnapshotSection()
    trade: TradeSection = TradeSection()
    path: Path
    """The file that joins the others, as it was named."""
    warnings: tuple[str, ...] = ()
    """What was odd in any of the files, one line each."""
    live_problems: tuple[str, ...] = ()
    """Why nobody may trade with these files, though they can be fetched for; one line each."""
    variables: frozenset[str] = frozenset()
    """The names of all variables that any of the files refers to."""


def load(
    path: str | Path,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> WarmupConfig:
    """Read the file at ``path``, and the venue and strategy files that it or an option names.

    ``overrides`` are options from the command line, by their names in ``OPTIONS``; they win over
    ``WARMUP_…`` in ``environ`` (None: the process's), which win over the file. Paths to the venue
    and strategy files are relative to the file in the file, to the current directory in an option.

    Raises:
        ConfigError: a file or an option is wrong; the message has every problem of all three
            files, one line each.
    """
    path = Path(path)
    environ = os.environ if environ is None else environ
    document, problems = read_document(path)
    if document is None:
        return usable(path, None, problems)
    options, unknown = _options(environ, overrides or {})
    reader = FieldReader(path, environ)
    parts = reader.read_fields(_Joined, _with_options(document, options))
    problems += unknown + reader.problems

    venue: VenueConfig | None = None
    verdict = Verdict()
    if "venue" in parts:
        place, named_by = _place(path, parts.pop("venue"), options.get("venue"))
        venue, found = read_file(VenueConfig, place, environ, named_by)
        verdict, wrong = _market_problems(place, venue)
        problems += found + wrong
        problems += _stream_problems(path, venue, parts.get("warmup"))
    strategies: list[AnyStrategy] = []
    named = parts.pop("strategy", ())
    if not named and "strategy" in document:
        problems += [] if reader.problems else [f"{path}: strategy: no file is named"]
    for name in named:
        place, named_by = _place(path, name, options.get("strategy"))
        strategy, found = read_strategy(place, environ, named_by)
        problems += found
        if strategy is not None:
            strategies.append(strategy)

    config = None
    if venue is not None and strategies:
        files = (venue, *strategies)
        odd = [line for each in files for line in each.warnings]
        config = WarmupConfig(
            venue=venue,
            strategies=tuple(strategies),
            path=path,
            warnings=(*reader.warnings, *odd, *verdict.odd),
            live_problems=verdict.live,
            variables=references(document).union(*(each.variables for each in files)),
            **parts,
        )
    return usable(path, config, problems)


def _options(
    environ: Mapping[str, str], overrides: Mapping[str, str]
) -> tuple[dict[str, Given], list[str]]:
    """The options that are given, by name; and a problem for each that does not exist.

    A variable that is set to nothing counts as not set: compose files pass them through so.
    """
    options: dict[str, Given] = {}
    for name in OPTIONS:
        variable = f"WARMUP_{name.upper()}"
        if environ.get(variable):
            options[name] = Given(environ[variable], variable)
    problems = []
    for name, value in overrides.items():
        label = f"--{name.replace('_', '-')}"
        if name in OPTIONS:
            options[name] = Given(value, label)
        else:
            problems.append(f"{label}: unknown option")
    return options, problems


def _with_options(
    document: Mapping[str, object], options: Mapping[str, Given]
) -> dict[str, object]:
    merged = dict(document)
    for name, given in options.items():
        *section, key = OPTIONS[name]
        if not section:
            merged[key] = given
            continue
        inside = merged.get(section[0])
        if inside is None or isinstance(inside, Mapping):  # else the section itself is wrong
            merged[section[0]] = {**(inside or {}), key: given}
    return merged


def _place(config_path: Path, place: Path, option: Given | None) -> tuple[Path, str]:
    """Where a file that is named ``place`` is, and what to blame if it is not there."""
    if option is not None:
        return place, f"{option.label}: "
    return config_path.parent / place, ""


def _stream_problems(
    path: Path, venue: VenueConfig | None, warmup: WarmupSection | None
) -> list[str]:
    """Streams that the venue's market does not have, whatever the exchange says."""
    problems: list[str] = []
    if venue is None or warmup is None:
        return problems
    try:
        market = venue.market
    except ConfigError:
        return problems  # said already
    for index, stream in enumerate(warmup.streams):
        reason = missing_stream(market, stream.interval, stream.price)
        if reason is not None:
            problems.append(f"{path}: warmup.streams[{index}].{reason}")
    return problems


def missing_stream(market: Market, interval_name: str, price: str) -> str | None:
    """Which key of a stream asks for what the market does not have, and why; None: it has it."""
    if market == "spot" and price == "mark":
        return "price: spot has no mark prices; write last"
    if market == "um" and interval_name == "1s":
        return "interval: futures have no interval 1s, only spot; the next is 1m"
    return None


def _market_problems(path: Path, venue: VenueConfig | None) -> tuple[Verdict, list[str]]:
    """What is to be said of the venue file's URLs, and what nobody can work with."""
    if venue is None:
        return Verdict(), []
    try:
        verdict = venue.judge_urls()
    except ConfigError as error:
        return Verdict(), [f"{path}: {error}"]
    rest, live, odd = (tuple(f"{path}: {line}" for line in lines) for lines in verdict)
    return Verdict((), live, odd), list(rest)
