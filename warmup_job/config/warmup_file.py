"""warmup.yaml: it joins a venue file and strategy files with the job's and the trader's settings.

An option on the command line overrides a variable, a variable overrides the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from warmup_job.binance.endpoints import UrlProblems
from warmup_job.config.fields import (
    FRACTION,
    PERCENT,
    SECRET,
    FieldReader,
    Given,
    Override,
    Section,
    Written,
    read_file,
    usable,
)
from warmup_job.config.folders import (
    default_folder,
    folder_beside,
    missing_file_remedy,
    moved_folder_warning,
)
from warmup_job.config.key_options import DeclaredKey, declared_keys
from warmup_job.config.strategy_file import AnyStrategy, read_strategy
from warmup_job.config.values import (
    balance,
    duration_ms,
    http_url,
    indicator_kind,
    interval,
    order_id_tag,
    paths,
    pause_ms,
    references,
    shown,
    symbol,
    trader_name,
    written_duration,
)
from warmup_job.config.venue_file import VenueConfig
from warmup_job.config.without_effect import warning_of
from warmup_job.errors import ConfigError
from warmup_job.modes import FirstBar, Orders, Replay
from warmup_job.regime.indicator_names import BOUNDED_KINDS

if TYPE_CHECKING:
    from warmup_job.market.pages import Market


def _listed(*keys: str, least: int) -> Callable[[object], object]:
    """Make a reader of ``a:b,c:d`` as a list of mappings; it leaves a list unchanged."""

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


Duration = Annotated[int, Written(duration_ms, "duration", written_duration)]
_STREAM_LIST = Written(_listed("symbol", "interval", "bars", least=2), "SYMBOL:INTERVAL[:BARS],…")
_INDICATOR_LIST = Written(_listed("kind", "period", "bars", least=2), "KIND:PERIOD[:BARS],…")
_EVERYWHERE = Override(("plan", "run", "trade", "up"))
_FETCHES = Override(("run", "trade", "up"))
_TRADES = Override(("trade", "up"))


class StreamSection(Section, frozen=True, kw_only=True):
    """One series of bars."""

    symbol: Annotated[
        str,
        Written(symbol, "symbol"),
        Meta(description="Binance's symbol or a Nautilus id: BTCUSDT or BTCUSDT-PERP.BINANCE."),
    ]
    """Binance's symbol, also if the file has a Nautilus id."""
    interval: Annotated[
        str,
        Written(interval, "interval"),
        Meta(
            description="1s (spot only), 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, 3d, "
            "1w or 1M."
        ),
    ]
    """One of Binance's. `missing_stream` checks whether the venue file's market has it."""
    bars: Annotated[
        int | Literal["auto"],
        Meta(
            ge=1,
            le=5_000_000,
            description="Number of bars; `auto`: as many as the strategies need.",
        ),
    ] = "auto"
    price: Annotated[
        Literal["last", "mark"], Meta(description="Price of the bars; mark exists on futures only.")
    ] = "last"


class Indicator(Section, frozen=True, kw_only=True):
    """An indicator of a strategy, in addition to those of its regime detector."""

    kind: Annotated[
        str,
        Written(indicator_kind, "text"),
        Meta(
            description="sma, ema, wilder, atr, adx, or Nautilus' name of one of them "
            "(ExponentialMovingAverage). Any other name (RSI) needs `bars`."
        ),
    ]
    """The kind's name by `kind_of`, however the file spells it."""
    period: Annotated[int, Meta(ge=1, description="The indicator's period in bars.")]
    bars: Annotated[
        int,
        Meta(ge=0, description="Bars that the indicator needs; 0: computed from `kind`."),
    ] = 0
    interval: Annotated[
        str, Written(interval, "interval"), Meta(description="The bars' interval.")
    ] = "1m"

    def complaint(self) -> str | None:
        """Return a problem if the kind is unknown and ``bars`` is missing."""
        if self.bars or self.kind in BOUNDED_KINDS:
            return None
        return (
            f"bars: missing; how many {self.kind} needs is not known (it is known of "
            f"{', '.join(BOUNDED_KINDS)}, and of Nautilus' classes for them)"
        )


class WarmupSection(Section, frozen=True, kw_only=True):
    """How much is fetched, at what cost, and what happens if that fails."""

    streams: Annotated[
        tuple[StreamSection, ...],
        _STREAM_LIST,
        _EVERYWHERE,
        Meta(
            description="Streams to warm up, e.g. BTCUSDT:1m:500,ETHUSDT:1h. Omit for the "
            "streams that the strategies need."
        ),
    ] = ()
    require: Annotated[
        Literal["proven", "bars"],
        _EVERYWHERE,
        Meta(
            description="When orders may leave: the regime is proven to be the same for every "
            "possible older history, or the requested number of bars has arrived."
        ),
    ] = "proven"
    indicators: Annotated[
        tuple[Indicator, ...],
        _INDICATOR_LIST,
        _EVERYWHERE,
        Meta(description="Indicators of the strategies themselves, e.g. ema:200,mine:10:80."),
    ] = ()
    max_bars: Annotated[
        int, _EVERYWHERE, Meta(ge=1, description="Upper bound of bars for a stream with `auto`.")
    ] = 3000
    max_gap_bars: Annotated[
        int,
        _FETCHES,
        Meta(ge=0, description="Accept up to this many bars that Binance itself lacks."),
    ] = 0
    budget_share: Annotated[
        float,
        FRACTION,
        _EVERYWHERE,
        Meta(gt=0, le=1, description="Share of the venue's `weight_per_minute` to use."),
    ] = 0.5
    deadline_ms: Annotated[
        Duration, _FETCHES, Meta(description="Give up fetching after this time.")
    ] = msgspec.field(name="deadline", default=60_000)
    on_failure: Annotated[
        Literal["proceed", "fail"],
        _FETCHES,
        Meta(
            description="What to do if the warm-up fails: log a warning and go on (run exits 0), "
            "or exit with the error's code."
        ),
    ] = "proceed"


class SnapshotSection(Section, frozen=True, kw_only=True):
    """The snapshot volume."""

    root: Annotated[
        Path,
        _FETCHES,
        Meta(
            description="The snapshot volume. Omit for /snapshot if that folder exists, as in the "
            "image, otherwise ~/.local/state/warmup-job/snapshot (XDG_STATE_HOME)."
        ),
    ] = Path("/snapshot")
    keep: Annotated[
        int, Override(("run", "up")), Meta(ge=1, description="Number of snapshots to keep.")
    ] = 3
    max_age_ms: Annotated[
        Duration,
        _TRADES,
        Meta(description="Refresh a snapshot that has lacked newer bars for longer than this."),
    ] = msgspec.field(name="max_age", default=600_000)


class NotifySection(Section, frozen=True, kw_only=True):
    """One outgoing webhook; ``repr`` and ``str`` hide its URL."""

    url: Annotated[
        str | None,
        SECRET,
        Written(http_url, "http(s):// URL"),
        Meta(description="Where to POST notices. It is a secret. Omit to send none."),
    ] = None
    format: Annotated[
        Literal["slack", "json"],
        Meta(description="`slack`: for an incoming webhook of Slack; `json`: plain JSON."),
    ] = "slack"
    unprotected_after_ms: Annotated[
        Duration,
        Meta(
            ge=1_000,
            description="Notify when a part of a position has had no stop loss for longer than "
            "this, or an entry that should be cancelled has been open for longer.",
        ),
    ] = msgspec.field(name="unprotected_after", default=10_000)
    drawdown_pct: Annotated[
        Decimal,
        PERCENT,
        Meta(gt=0, le=100, description="Notify each time the drawdown has grown by so much more."),
    ] = Decimal(5)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        hidden = {"url": "***" if self.url else None}
        return [(name, hidden.get(name, getattr(self, name))) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        return f"Notify({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class TradeSection(Section, frozen=True, kw_only=True):
    """What only the trader uses."""

    state_dir: Annotated[
        Path,
        _TRADES,
        Meta(
            description="The trader's own state. Omit for /state if that folder exists, as in the "
            "image, otherwise ~/.local/state/warmup-job/state (XDG_STATE_HOME)."
        ),
    ] = Path("/state")
    trader_id: Annotated[
        str,
        Written(trader_name, "name"),
        _TRADES,
        Meta(description="The trader's name in Nautilus: letters, digits, - and _."),
    ] = "WARMUP"
    order_id_tag: Annotated[
        str | None,
        Written(order_id_tag, "tag"),
        _TRADES,
        Meta(
            description="Begins the part of every order id that names this trader: one to three "
            "letters or digits. Omit for a hash of its instruments."
        ),
    ] = None
    http_port: Annotated[
        int | None,
        _TRADES,
        Meta(
            ge=0,
            le=65_535,
            description="Port for the page at /, /healthz, /readyz and /metrics; 0: any free "
            "port. Omit to disable.",
        ),
    ] = None
    http_host: Annotated[
        str,
        _TRADES,
        Meta(
            description="Address that this port listens on; the image sets 0.0.0.0, for probes "
            "from outside the container."
        ),
    ] = "127.0.0.1"
    on_stop: Annotated[
        Orders,
        _TRADES,
        Meta(
            description="What to do with open orders when the trader stops; cancel_entries "
            "keeps the exits."
        ),
    ] = "cancel_entries"
    on_gap: Annotated[
        Orders, _TRADES, Meta(description="What to do with open orders while bars are missing.")
    ] = "cancel_entries"
    silence_ms: Annotated[
        Duration,
        _TRADES,
        Meta(
            ge=1_000,
            le=600_000,
            description="Halt trading when a websocket stream has sent nothing for this long.",
        ),
    ] = msgspec.field(name="silence", default=10_000)
    first_bar: Annotated[
        FirstBar,
        _TRADES,
        Meta(
            description="Where the newest bar goes at the start if it closed more than a minute "
            "ago. HedgeGridV1 always receives it in on_bar."
        ),
    ] = "history"
    replay: Annotated[
        Replay,
        Override(("trade", "up"), name="replay_history"),  # `exchange --replay` is another option
        Meta(
            description="Replay history through on_bar, with orders denied, for strategies that "
            "receive it in no other way."
        ),
    ] = "none"
    wait_for_snapshot_ms: Annotated[
        int,
        Written(pause_ms, "duration", written_duration),
        Override(("trade",)),
        Meta(
            description="Wait up to this long for a snapshot that a job beside the trader makes; "
            "0s: do not wait. `up` waits until its job has ended."
        ),
    ] = msgspec.field(name="wait_for_snapshot", default=0)
    starting_balances: Annotated[
        tuple[Annotated[str, Written(balance, "amount and currency")], ...],
        Meta(description="Balances of the paper account."),
    ] = ("10000 USDT",)
    notify: NotifySection = NotifySection()


class WarmupFile(Section, frozen=True, kw_only=True):
    """warmup.yaml as it is written."""

    venue: Annotated[Path, _EVERYWHERE, Meta(description="The venue file.")]
    strategy: Annotated[
        tuple[Path, ...],
        Written(paths, "path,…"),
        _EVERYWHERE,
        Meta(
            description="The strategy file, or several: a.yaml,b.yaml. Omit to only download "
            "`warmup.streams`."
        ),
    ] = ()
    warmup: WarmupSection = WarmupSection()
    snapshot: SnapshotSection = SnapshotSection()
    trade: TradeSection = TradeSection()


OPTIONS: Final[Mapping[str, DeclaredKey]] = {
    key.option: key for key in declared_keys(WarmupFile) if key.commands
}
"""The keys that an option and a variable override, by the option's name."""


class WarmupConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The three files' content after all overrides."""

    venue: VenueConfig
    strategies: tuple[AnyStrategy, ...]
    """In the file's order; empty: bars are downloaded, and nothing trades."""
    warmup: WarmupSection = WarmupSection()
    snapshot: SnapshotSection = SnapshotSection()
    trade: TradeSection = TradeSection()
    path: Path
    """warmup.yaml, as the caller named it."""
    warnings: tuple[str, ...] = ()
    """Warnings about any of the files, one line each."""
    live_problems: tuple[str, ...] = ()
    """Why `trade` must refuse these files, though `run` can fetch for them; one line each."""
    variables: frozenset[str] = frozenset()
    """The names of all variables that any of the files refers to."""


def load(
    path: str | Path,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> WarmupConfig:
    """Read warmup.yaml, and the venue and strategy files that it or an override names.

    Args:
        path: warmup.yaml. Paths in it are relative to its folder; in an override they are relative
            to the current directory.
        environ: The environment (None: the process's). A ``WARMUP_…`` variable overrides the file.
        overrides: Command-line options by their names in ``OPTIONS``. They override variables.

    Raises:
        ConfigError: A file or an override is wrong; the message has a line for each problem of all
            files.
    """
    from warmup_job.config.document import read_document  # PyYAML takes 30 ms

    path = Path(path)
    environ = os.environ if environ is None else environ
    document, problems = read_document(path)
    if document is None:
        return usable(path, None, problems)
    options, unknown = _options(environ, overrides or {})
    reader = FieldReader(path, environ)
    given = _with_options(document, options)
    parts = reader.read_fields(WarmupFile, given)
    problems += unknown + reader.problems

    places: list[Path] = []  # of the venue and of the strategies
    venue: VenueConfig | None = None
    verdict = UrlProblems()
    if "venue" in parts:
        place, named_by, remedy = _place(path, "venue", parts.pop("venue"), options)
        places.append(place)
        venue, found = read_file(VenueConfig, place, environ, named_by)
        verdict, wrong = _market_problems(place, venue)
        problems += [*(f"{line}{remedy}" for line in found), *wrong]
        problems += _stream_problems(path, venue, parts.get("warmup"))
    strategies: list[AnyStrategy] = []
    named = parts.get("strategy", ())
    if not named and all(key in parts or key not in given for key in ("strategy", "warmup")):
        problems += _bars_only_problems(path, parts.get("warmup"))
    parts.pop("strategy", None)
    for name in named:
        place, named_by, remedy = _place(path, "strategy", name, options)
        strategy, found = read_strategy(place, environ, named_by)
        problems += [f"{line}{remedy}" for line in found]
        if strategy is not None:
            places.append(place)
            strategies.append(strategy)
    moved = _place_folders(path, document, parts, options, environ)

    config = None
    if venue is not None and len(strategies) == len(named):
        files = (venue, *strategies)
        odd = [line for each in files for line in each.warnings]
        unread = zip(places, (each.without_effect for each in files), strict=True)
        config = WarmupConfig(
            venue=venue,
            strategies=tuple(strategies),
            path=path,
            warnings=(*reader.warnings, *odd, *moved, *verdict.warnings, *warning_of(unread)),
            live_problems=(
                *verdict.live,
                *(line for each in files for line in each.trade_problems),
            ),
            variables=references(document).union(*(each.variables for each in files)),
            **parts,
        )
    return usable(path, config, problems)


def _options(
    environ: Mapping[str, str], overrides: Mapping[str, str]
) -> tuple[dict[str, Given], list[str]]:
    """Return the given options by name, and a problem for each option that does not exist.

    An empty variable counts as not set: a compose file passes an unset variable on as empty.
    """
    options: dict[str, Given] = {}
    for name, key in OPTIONS.items():
        if environ.get(key.variable):
            options[name] = Given(environ[key.variable], key.variable)
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
        *section, key = OPTIONS[name].path
        if not section:
            merged[key] = given
            continue
        inside = merged.get(section[0])
        if inside is None or isinstance(inside, Mapping):  # else the section itself is wrong
            merged[section[0]] = {**(inside or {}), key: given}
    return merged


def _place(
    config_path: Path, key: str, place: Path, options: Mapping[str, Given]
) -> tuple[Path, str, str]:
    """Return a file's path, what to blame if it cannot be read, and what to do if it is missing."""
    if key in options:
        return place, f"{options[key].label}: ", ""
    return config_path.parent / place, "", missing_file_remedy(config_path, key, place)


def _place_folders(
    path: Path,
    document: Mapping[str, object],
    parts: dict[str, Any],
    options: Mapping[str, Given],
    environ: Mapping[str, str],
) -> list[str]:
    """Put the folders of ``parts`` where they belong; return warnings."""
    warnings = []
    kinds: dict[str, type[SnapshotSection | TradeSection]] = {
        "snapshot": SnapshotSection,
        "trade": TradeSection,
    }
    for (section, kind), key in zip(kinds.items(), ("root", "state_dir"), strict=True):
        if key in options:
            continue
        written = document.get(section)
        if isinstance(written, Mapping) and key in written:
            if section not in parts:
                continue  # a problem has been noted
            value = getattr(parts[section], key)
            folder = folder_beside(path, value)
            moved = moved_folder_warning(path, f"{section}.{key}", value)
            warnings += [] if moved is None else [moved]
        else:
            folder = default_folder(f"{section}.{key}", environ)
        parts[section] = msgspec.structs.replace(parts.get(section, kind()), **{key: folder})
    return warnings


def _bars_only_problems(path: Path, warmup: WarmupSection | None) -> list[str]:
    """Find that a file without a strategy does not say either which bars to download."""
    if warmup is not None and warmup.streams:
        return []
    reason = "it names neither a strategy file (`strategy`) nor bars to download (`warmup.streams`)"
    return [f"{path}: {reason}: write one of them"]


def _stream_problems(
    path: Path, venue: VenueConfig | None, warmup: WarmupSection | None
) -> list[str]:
    """Find streams that the venue's market never has."""
    problems: list[str] = []
    if venue is None or warmup is None:
        return problems
    try:
        market = venue.market
    except ConfigError:
        return problems  # already reported
    for index, stream in enumerate(warmup.streams):
        reason = missing_stream(market, stream.interval, stream.price)
        if reason is not None:
            problems.append(f"{path}: warmup.streams[{index}].{reason}")
    return problems


def missing_stream(market: Market, interval_name: str, price: str) -> str | None:
    """Return the key and the reason if the market does not have such a stream, else None."""
    if market == "spot" and price == "mark":
        return "price: spot has no mark prices; write last"
    if market == "um" and interval_name == "1s":
        return "interval: futures have no interval 1s, only spot; the next is 1m"
    return None


def _market_problems(path: Path, venue: VenueConfig | None) -> tuple[UrlProblems, list[str]]:
    """Judge the venue file's URLs; return the verdict, and what makes the file unusable."""
    if venue is None:
        return UrlProblems(), []
    try:
        verdict = venue.url_problems()
    except ConfigError as error:
        return UrlProblems(), [f"{path}: {error}"]
    rest, live, odd = (tuple(f"{path}: {line}" for line in lines) for lines in verdict)
    return UrlProblems((), live, odd), list(rest)
