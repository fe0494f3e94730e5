"""The command line: options in, results on stdout, logs on stderr, an exit code of the contract."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from loguru import logger

from warmup_job.errors import (
    ConfigError,
    SnapshotError,
    StoppedError,
    TraderError,
    WarmupError,
)
from warmup_job.market.times import duration_text, utc_text
from warmup_job.process.fast_start import imports_are_done
from warmup_job.process.logs import (
    LogFormat,
    foreign_lines_as_json,
    set_up_logs,
    stdout_kept_for_results,
)

if TYPE_CHECKING:
    from warmup_job.config import WarmupConfig
    from warmup_job.job.run_job import Outcome
    from warmup_job.modes import Mode
    from warmup_job.snapshot.manifest import Manifest
    from warmup_job.snapshot.status import Status
    from warmup_job.trader.summary import TradeSummary

_OPTION_HELP = {
    "root": "The snapshot volume.",
    "venue": "Another venue file.",
    "strategy": "Another strategy file, or several: a.yaml,b.yaml.",
    "streams": "What to warm: BTCUSDT:1m:500,ETHUSDT:1h",
    "require": "What the policy demands: proven or bars.",
    "indicators": "The strategy's own: ema:200,mine:10:80 (kind, period, bars).",
    "max_bars": "How far `auto` may go.",
    "max_gap_bars": "Missing bars of the venue's that are let through.",
    "budget_share": "Of the venue's weight a minute, above 0 to 1.",
    "deadline": "How long a run may take: 60s, 5m.",
    "on_failure": "proceed or fail.",
    "keep": "How many snapshots stay.",
    "max_age": "How long bars may be missing: 10m.",
    "state_dir": "The trader's own state.",
    "http_port": "Of /healthz, /readyz and /metrics; left out: none.",
    "on_stop": "Open orders then: keep, cancel_entries or cancel_all.",
    "on_gap": "Open orders while bars cannot be had: as on_stop.",
    "silence": "Halt trading when a websocket stream has sent nothing for this long: 10s.",
    "first_bar": "A newest bar older than a minute at the start: history or on_bar.",
    "replay": "Replay history through on_bar, with orders denied: none or on_bar.",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--log-level",
    envvar="WARMUP_LOG_LEVEL",
    default="INFO",
    show_default=True,
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
)
@click.option(
    "--log-format",
    envvar="WARMUP_LOG_FORMAT",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "text", "json"]),
    help="auto: text on a terminal, JSON lines otherwise.",
)
@click.version_option(package_name="warmup-job")
@click.pass_context
def cli(context: click.Context, log_level: str, log_format: LogFormat) -> None:
    """Warm up NautilusTrader bots: fetch closed Binance klines, publish them, go live on them.

    Every option can also be given as WARMUP_… in the environment. Exit codes: docs/exit-codes.md.
    """
    as_json = set_up_logs(log_level.upper(), log_format)
    context.obj = foreign_lines_as_json(log_level.upper()) if as_json else nullcontext()
    if context.invoked_subcommand not in {"run", "trade"}:  # they say so themselves
        imports_are_done()


def _on_config[R](command: Callable[..., R]) -> Callable[..., R]:
    """Give a command --config and every option that stands in for a key of it; hand it the config.

    The variables of these options are read by `warmup_job.config`, which names them in its errors.
    """

    @functools.wraps(command)
    def loaded(config_path: Path, **kwargs: Any) -> R:  # noqa: ANN401  # click's parsed options
        from warmup_job.config import load

        overrides = {name: kwargs.pop(name) for name in _OPTION_HELP}
        given = {name: str(value) for name, value in overrides.items() if value is not None}
        config = load(config_path, overrides=given)
        for warning in (*config.warnings, *_unknown_variables(config.variables)):
            logger.warning("{}", warning)
        return command(config, **kwargs)

    for name, text in reversed(_OPTION_HELP.items()):
        flag = f"--{name.replace('_', '-')}"
        variable = f"  [env var: WARMUP_{name.upper()}]"
        loaded = click.option(flag, name, metavar="VALUE", help=text + variable)(loaded)
    return click.option(
        "--config",
        "config_path",
        envvar="WARMUP_CONFIG",
        show_envvar=True,
        default="configs/warmup.yaml",
        show_default=True,
        type=click.Path(path_type=Path),
    )(loaded)


def _unknown_variables(known: Iterable[str] = (), prefix: str = "WARMUP_") -> list[str]:
    """A line for each variable of ours in the environment that no command reads, nor a file."""
    from warmup_job.config import OPTIONS, unknown_variables

    names = {*known, *(f"WARMUP_{name.upper()}" for name in OPTIONS)}
    for command in (cli, *cli.commands.values()):
        of_all = command.context_settings.get("auto_envvar_prefix")
        for parameter in command.params:
            written = parameter.envvar or ()
            names.update([written] if isinstance(written, str) else written)
            if of_all and parameter.name:
                names.add(f"{of_all}_{parameter.name.upper()}")
    return unknown_variables(os.environ, names, prefix)


def _warn_of_trading(config: WarmupConfig) -> None:
    """Tell what does not concern this command, but will stop the trader."""
    for problem in config.live_problems:
        logger.warning("{} (`trade` refuses to start with this)", problem)


def _check_strategies(config: WarmupConfig) -> None:
    """Import the strategies that are imported: what cannot be is told before anything is asked."""
    from warmup_job.config import ImportedStrategy

    if any(isinstance(each, ImportedStrategy) for each in config.strategies):
        from warmup_job.trader.imported_strategies import check_importable

        check_importable(config)


_as_json = click.option(
    "--json", "as_json", envvar="WARMUP_JSON", show_envvar=True, is_flag=True, help="For machines."
)


@cli.command()
@_on_config
@click.option(
    "--until", envvar="WARMUP_UNTIL", show_envvar=True, help="-3m, an ISO time, or ms: not now."
)
@_as_json
def plan(config: WarmupConfig, until: str | None, as_json: bool) -> None:
    """Show what would be fetched, and what it costs, without asking the exchange for a kline."""
    from warmup_job.plan.streams import memory_text, plan_streams, weight_budget, weights

    now_ms = time.time_ns() // 1_000_000
    _warn_of_trading(config)
    _check_strategies(config)
    plans = plan_streams(config, min(now_ms, _until_ms(until, now_ms)))
    budget = weight_budget(config)
    spent = weights(config, plans)
    weight = spent.total
    if as_json:
        streams = [
            {
                "symbol": plan.symbol,
                "interval": plan.interval.name,
                "price": plan.price,
                "bars": plan.bars,
                "reason": plan.reason,
                "pages": [page._asdict() for page in plan.pages],
                "weight": plan.weight,
                "bounds_weight": plan.bounds_weight,
                "seconds": plan.seconds(budget),
                "disk_bytes": plan.disk_bytes,
            }
            for plan in plans
        ]
        _print_json(
            {
                "streams": streams,
                "weights": asdict(spent),
                "weight": weight,
                "weight_per_minute": budget,
            }
        )
        return
    head = f"{'stream':<20}{'bars':>8}{'pages':>7}{'weight':>8}{'about':>8}{'disk':>10}"
    click.echo(f"{head}  from")
    for plan in plans:
        click.echo(
            f"{plan.name:<20}{plan.bars:>8}{len(plan.pages):>7}{plan.weight:>8}"
            f"{plan.seconds(budget):>6.1f} s{plan.disk_bytes // 1024:>6} KiB"
            f"  {utc_text(plan.first_open_ms)}  ({plan.reason})"
        )
    for detector in dict.fromkeys(plan.detector for plan in plans if plan.auto):
        if detector is not None:
            click.echo(memory_text(detector))
    minutes = max(0, weight - 1) // budget
    waits = f"about {minutes} min of waiting for it" if minutes else "no waiting for it"
    click.echo(
        f"weight {weight} of {budget} a minute ({config.warmup.budget_share:.0%} of the venue's "
        f"{config.venue.rate_limits.weight_per_minute}): {waits}\n"
        f"  klines {spent.klines}, highest and lowest prices {spent.bounds}, exchangeInfo "
        f"{spent.exchange_info}, time {spent.time}"
    )


@cli.command()
@_on_config
@click.option("--dry-run", envvar="WARMUP_DRY_RUN", show_envvar=True, is_flag=True,
              help="Do everything but publish.")  # fmt: skip
@click.option("--full", envvar="WARMUP_FULL", show_envvar=True, is_flag=True,
              help="Fetch everything, whatever the last snapshot has.")  # fmt: skip
@click.option(
    "--until", envvar="WARMUP_UNTIL", show_envvar=True, help="-3m, an ISO time, or ms: not now."
)
@click.option("--every", envvar="WARMUP_EVERY", show_envvar=True, metavar="DURATION",
              help="Run again and again, this far apart, until stopped.")  # fmt: skip
@_as_json
def run(
    config: WarmupConfig,
    dry_run: bool,
    full: bool,
    until: str | None,
    every: str | None,
    as_json: bool,
) -> None:
    """Fetch the history, check it, and publish a snapshot of it.

    What the last snapshot has already is not fetched again; if nothing has closed since, it stays.
    """
    from warmup_job.config import duration_ms

    _until_ms(until, 0)
    _warn_of_trading(config)
    _check_strategies(config)
    pause_ms = None if every is None else _checked("--every", lambda: duration_ms(every))

    async def runs() -> int:
        status: Status | None = None
        while True:
            status = await _run_once(config, until, dry_run, full, as_json, pause_ms, status)
            if pause_ms is None:
                return status.exit_code
            logger.info("next run in {}", duration_text(pause_ms))
            await asyncio.sleep(pause_ms / 1000)

    sys.exit(_until_stopped(runs()))


async def _run_once(
    config: WarmupConfig,
    until: str | None,
    dry_run: bool,
    full: bool,
    as_json: bool,
    pause_ms: int | None,
    last: Status | None,
) -> Status:
    """One run, from the first request to the last word; returns how it ended.

    Args:
        pause_ms: how long after it the next run starts; None: this is the only one.
        last: how this process' run before it ended; the volume may know of a later one.
    """
    from warmup_job.job.repeat import log_repeated
    from warmup_job.job.run_job import Outcome, warm
    from warmup_job.snapshot.status import Status, read_status

    outcome = Outcome()
    try:
        with ExitStack() as stack:
            progress = _progress(config, stack)
            outcome = await warm(config, until=until, dry_run=dry_run, full=full, progress=progress)
        error = outcome.worst
    except WarmupError as failure:
        error = failure
    code = error.exit_code if error else 0
    proceed = config.warmup.on_failure == "proceed" and error is not None and error.may_proceed
    exit_code = 0 if proceed else code
    last_word = _last_word(outcome, error, dry_run)
    name = outcome.folder.name if outcome.folder else None
    root = Path(config.snapshot.root)
    before = max(filter(None, (last, read_status(root))), key=lambda each: each.at_ms, default=None)
    status = Status(time.time_ns() // 1_000_000, code, exit_code, last_word, name).after(before)
    if pause_ms is not None:
        log_repeated(root, status, error, before)
    elif error is not None:
        logger.log("WARNING" if proceed else "ERROR", "code {}: {}", code, error)
        if proceed:
            logger.warning(
                "warm-up failed; exiting 0 because warmup.on_failure is proceed. The trader will "
                "fetch the missing bars itself"
            )
    _report(outcome, last_word, code, exit_code, as_json)
    if not dry_run:
        _leave_status(root, status)
    return status


def _progress(config: WarmupConfig, stack: ExitStack) -> Callable[[int], object]:
    """A bar on a terminal when there is something to wait for; quiet otherwise."""
    if not sys.stderr.isatty():
        return lambda _: None
    from tqdm import tqdm

    from warmup_job.plan.streams import plan_streams

    total = sum(plan.bars for plan in plan_streams(config, time.time_ns() // 1_000_000))
    bar = stack.enter_context(tqdm(total=total, unit=" bars", desc="fetching", leave=True))
    return bar.update


def _last_word(outcome: Outcome, error: WarmupError | None, dry_run: bool) -> str:
    manifest = outcome.manifest
    if manifest is None:
        return f"nothing published: {error}"
    streams = ", ".join(
        f"{entry.bar_count} bars of {entry.symbol} {entry.interval} to {utc_text(entry.last_close)}"
        for entry in manifest.streams
    )
    if outcome.up_to_date is not None:
        return f"up to date, nothing to add to {outcome.up_to_date.folder.name}: {streams}"
    if dry_run or outcome.published is None:
        return f"dry run: would publish {streams}; content {manifest.content_digest[:8]}"
    done = f"published {outcome.published.id}: {streams}"
    return f"{done}; DEGRADED: {error}" if error else done


def _report(outcome: Outcome, last_word: str, code: int, exit_code: int, as_json: bool) -> None:
    folder, manifest = outcome.folder, outcome.manifest
    if as_json:
        _print_json(
            {
                "code": code,
                "exit_code": exit_code,
                "message": last_word,
                "snapshot": folder.name if folder else None,
                "published": outcome.published is not None,
                "folder": str(folder) if folder else None,
                "manifest": None if manifest is None else msgspec.to_builtins(manifest),
            }
        )
        return
    click.echo(last_word)
    if manifest is not None and outcome.up_to_date is None:
        click.echo(
            f"  from {manifest.endpoint}, weight {manifest.weight_spent}, {manifest.seconds:.2f} s"
        )
    if folder is not None:
        click.echo(f"  {folder}/catalog is a plain Nautilus ParquetDataCatalog")


def _leave_status(root: Path, status: Status) -> None:
    from warmup_job.snapshot.status import write_status, write_termination_message

    write_status(root, status)
    write_termination_message(status.message)


@cli.command()
@click.argument("root", envvar="WARMUP_ROOT", type=click.Path(path_type=Path))
@click.option("--max-age", envvar="WARMUP_MAX_AGE", show_envvar=True, metavar="DURATION",
              help="Refuse bars that are missing for longer.")  # fmt: skip
@click.option("--for", "config_path", type=click.Path(path_type=Path), metavar="CONFIG",
              help="Refuse a snapshot that is not what this warmup.yaml asks for.")  # fmt: skip
@_as_json
def verify(root: Path, max_age: str | None, config_path: Path | None, as_json: bool) -> None:
    """Check the current snapshot; every problem is listed, and any gives exit code 20."""
    from warmup_job.config import duration_ms, load
    from warmup_job.plan.streams import wanted_of_snapshot
    from warmup_job.snapshot.verify import find_problems, open_snapshot

    max_age_ms = None if max_age is None else _checked("--max-age", lambda: duration_ms(max_age))
    wanted = None if config_path is None else wanted_of_snapshot(load(config_path))
    now_ms = time.time_ns() // 1_000_000
    manifest: Manifest | None = None
    name = None
    try:
        snapshot = open_snapshot(root)
        name, manifest = snapshot.folder.name, snapshot.manifest
        problems = find_problems(snapshot, now_ms=now_ms, max_age_ms=max_age_ms, wanted=wanted)
    except SnapshotError as error:
        problems = list(error.problems)
    age_ms = manifest.age_ms(now_ms) if manifest else None
    if as_json:
        _print_json({"ok": not problems, "snapshot": name, "age_ms": age_ms, "problems": problems})
    elif manifest is not None and not problems:
        missing = (
            f"lacks bars since {duration_text(age_ms)}"
            if age_ms and age_ms > 0
            else "is up to date"
        )
        click.echo(f"{name} is whole: {len(manifest.files)} files unaltered; it {missing}")
    if problems:
        if not as_json:
            click.echo(f"{name or root} cannot be used:")
            for problem in problems:
                click.echo(f"  - {problem}")
        sys.exit(SnapshotError.exit_code)


@cli.command()
@click.argument("root", envvar="WARMUP_ROOT", type=click.Path(path_type=Path))
@_as_json
def inspect(root: Path, as_json: bool) -> None:
    """Show what the current snapshot holds."""
    from warmup_job.snapshot.verify import open_snapshot

    snapshot = open_snapshot(root)
    manifest = snapshot.manifest
    if as_json:
        _print_json(msgspec.to_builtins(manifest))
        return
    click.echo(f"{snapshot.folder.name} from {manifest.endpoint}, {utc_text(manifest.created_at)}")
    for stream in manifest.streams:
        gaps = f", {len(stream.gaps)} gap(s) of the venue's" if stream.gaps else ""
        click.echo(
            f"  {stream.bar_type}: {stream.bar_count} bars, "
            f"{utc_text(stream.first_open)} to {utc_text(stream.last_close)}{gaps}"
        )
    for reason in manifest.degraded:
        click.echo(f"  DEGRADED: {reason}")
    versions = manifest.versions
    click.echo(
        f"  content {manifest.content_digest}\n  by warmup-job {versions.warmup_job}, "
        f"ccxt {versions.ccxt}, nautilus_trader {versions.nautilus_trader}, "
        f"pyarrow {versions.pyarrow}"
    )


@cli.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…",
                type=click.Path(path_type=Path, exists=True))  # fmt: skip
@click.option("--strategy", "strategy_path", envvar="WARMUP_STRATEGY", show_envvar=True,
              default="configs/strategies/hedge_grid_v1.yaml", show_default=True,
              type=click.Path(path_type=Path), help="Whose detector.")  # fmt: skip
@click.option("--bars", "counts", default="70,100,200,300,499,998,1497", show_default=True,
              help="The numbers of bars to warm with.")  # fmt: skip
@click.option("--bar-type", help="Which one of a catalog's, if it has several.")
@click.option("--every", "step", default=1, show_default=True, type=click.IntRange(1),
              help="Start at every so manieth bar.")  # fmt: skip
@click.option("--certify-every", default=100, show_default=True, type=click.IntRange(1),
              help="Put every so manieth start to the certificate.")  # fmt: skip
@_as_json
def study(
    sources: tuple[Path, ...],
    strategy_path: Path,
    counts: str,
    bar_type: str | None,
    step: int,
    certify_every: int,
    as_json: bool,
) -> None:
    """Show how often a number of bars would have misjudged the regime, and how often it is proven.

    A SOURCE is a recording (csv.gz in the order of Binance's kline array), a catalog, or a snapshot
    volume. The proof takes a tenth of the lowest and ten times the highest price for the symbol's
    extremes.
    """
    from warmup_job.config import StrategyConfigLoader
    from warmup_job.plan.traded import settings_of
    from warmup_job.proof.evidence import Bounds
    from warmup_job.study.series import read_series
    from warmup_job.study.wrong_starts import in_all, study

    settings = settings_of(StrategyConfigLoader.load(strategy_path))
    wanted = _checked("--bars", lambda: sorted({int(each) for each in counts.split(",")}))
    tables = []
    for source in sources:
        name, window = read_series(source, bar_type)
        bounds = Bounds(window.bounds.low / 10, window.bounds.high * 10)
        judge = functools.partial(
            study, window, settings, bounds, wanted, step=step, certify_every=certify_every
        )
        tables.append((name, _checked(str(source), judge)))
    if len(tables) > 1:
        tables.append(("all", in_all([rows for _, rows in tables])))
    if as_json:
        _print_json({name: msgspec.to_builtins(rows) for name, rows in tables})
        return
    for name, rows in tables:
        click.echo(f"{name}: {rows[0].starts} starts, {rows[0].certified} put to the proof")
        click.echo(f"{'bars':>8}{'wrong':>10}{'of trending':>13}{'proven':>10}")
        for row in rows:
            trending = "-" if row.wrong_of_trending is None else f"{row.wrong_of_trending:.2%}"
            click.echo(f"{row.bars:>8}{row.wrong:>10.3%}{trending:>13}{row.proven:>10.2%}")


@cli.command()
@_on_config
@click.option("--mode", envvar="WARMUP_MODE", show_envvar=True, required=True,
              type=click.Choice(["paper", "live"]))  # fmt: skip
@click.option("--for", "span", envvar="WARMUP_FOR", show_envvar=True, metavar="DURATION",
              help="Stop by itself after so long.")  # fmt: skip
@click.option("--node-log-level", envvar="WARMUP_NODE_LOG_LEVEL", show_envvar=True,
              default="WARNING", show_default=True,
              type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
              help="Of Nautilus' own log; the strategy's is always shown.")  # fmt: skip
@_as_json
@click.pass_obj
def trade(
    stderr: AbstractContextManager[None],
    config: WarmupConfig,
    mode: Mode,
    span: str | None,
    node_log_level: str,
    as_json: bool,
) -> None:
    """Verify the snapshot, warm the strategy with it, and go live; orders only when it is warm."""
    from warmup_job.config import duration_ms

    span_ms = None if span is None else _checked("--for", lambda: duration_ms(span))
    kept = stdout_kept_for_results(node_log_level.upper(), config.strategy_classes)
    with kept as results, stderr:
        _check_strategies(config)
        from warmup_job.trader.run_trader import trade as run_trader

        async def until_told() -> TradeSummary:
            stop = asyncio.Event()
            if span_ms is not None:
                asyncio.get_running_loop().call_later(span_ms / 1000, stop.set)
            return await run_trader(config, Path(config.snapshot.root), mode, stop=stop)

        summary = _until_stopped(until_told())
        if as_json:
            results.write(msgspec.json.encode(summary).decode() + "\n")
        else:
            regime = f" regime {summary.regime};" if summary.regime else ""
            start = f"warm, on {summary.history_bars} bars" if summary.warm_start else "COLD"
            results.write(
                f"started {start}; {summary.handed_on} bars in all, {summary.live_bars} of them "
                f"by the live stream;{regime} {summary.orders} orders, {summary.fills} fills, "
                f"{summary.positions_open} open position(s)\n"
            )
    if summary.stopped_by_signal:
        raise StoppedError(
            "stopped by a signal: open orders by trade.on_stop, state saved, node shut down"
        )
    if summary.live_after_s is None:
        raise TraderError(
            f"the trader stopped without ever having been live (last {summary.last_state})"
        )


@cli.command(context_settings={"auto_envvar_prefix": "WARMUP_EXCHANGE", "show_default": True})
@click.option("--host", default="127.0.0.1", show_envvar=True)
@click.option("--port", default=8080, show_envvar=True, type=click.IntRange(0, 65535),
              help="0: any free one.")  # fmt: skip
@click.option("--seed", default=1, show_envvar=True, help="One deterministic market per seed.")
@click.option("--replay", "replay", multiple=True, metavar="FILE", show_envvar=True,
              help="Serve recorded klines (csv.gz); may be given several times.")  # fmt: skip
@click.option("--now", show_envvar=True, help="The exchange's clock at the start: ISO time or ms.")
@click.option("--speed", default=1.0, show_envvar=True,
              help="How many of its seconds pass in one of yours.")  # fmt: skip
@click.option("--fault", "faults", multiple=True, metavar="SPEC", show_envvar=True,
              help="What goes wrong: 429=30@klines (docs/local-exchange.md).")  # fmt: skip
@click.option("--latency-ms", default=0, show_envvar=True, help="Of every REST answer.")
@click.option("--weight-limit", type=int, show_envvar=True,
              help="Request weight a minute; left out, Binance's.")  # fmt: skip
@click.option("--volatility-bps", default=10.0, show_envvar=True, help="Of one minute.")
@click.option("--api-key", show_envvar=True, help="The account's; left out: local-key.")
@click.option(
    "--api-secret",
    show_envvar=True,
    help="The account's HMAC secret, or the PEM of an Ed25519 public key. Default: local-secret.",
)
@click.option("--one-way", is_flag=True, show_envvar=True, help="The account has no hedge mode.")
@click.option("--no-trading", is_flag=True, show_envvar=True, help="The account may not trade.")
@click.option("--balance", default="10000", show_envvar=True, help="The account's, in USDT.")
def exchange(
    port: int,
    host: str,
    now: str | None,
    replay: tuple[str, ...],
    **options: Any,  # noqa: ANN401  # the rest have ExchangeOptions' own names
) -> None:
    """A local Binance to run against: REST and websockets, USD-M futures and spot, an account."""
    from warmup_job.local_binance.server import ExchangeOptions, serve

    for warning in _unknown_variables(prefix="WARMUP_EXCHANGE_"):
        logger.warning("{}", warning)
    now_ms = None if now is None else _until_ms(now, time.time_ns() // 1_000_000, "--now")
    settings = ExchangeOptions(
        host=host, port=port, replay=replay, now_ms=now_ms,
        **{name: value for name, value in options.items() if value is not None},
    )  # fmt: skip

    def ready(running: Any) -> None:  # noqa: ANN401
        click.echo(f"a local Binance is up: REST {running.url}, websockets {running.ws_url}")

    try:
        asyncio.run(serve(settings, ready))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error}): choose another --host or --port"
        ) from None


def _until_ms(until: str | None, now_ms: int, option: str = "--until") -> int:
    from warmup_job.market.times import parse_when

    return now_ms if until is None else _checked(option, lambda: parse_when(until, now_ms))


def _checked[T](option: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None


def _until_stopped[T](work: Coroutine[Any, Any, T]) -> T:
    """Run ``work``; SIGTERM and SIGINT end it within a moment, as StoppedError (143)."""

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, lambda: task.cancel() if task else None)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise StoppedError("stopped by a signal; nothing is half-published") from None


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
