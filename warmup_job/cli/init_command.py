"""``warmup-job init``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from warmup_job.cli.sectioned_command import SectionedCommand
from warmup_job.errors import ConfigError

if TYPE_CHECKING:
    from warmup_job.init_files.file_set import FileSet
    from warmup_job.init_files.init_choices import InitChoices, Place
    from warmup_job.market.pages import Market

_MARKETS: Final[tuple[str, ...]] = ("futures", "spot")
_PLACES: Final[tuple[Place, ...]] = ("production", "testnet", "demo", "local")
_EXAMPLES = """\b
Examples:
  warmup-job init
  warmup-job init my-bot --market futures --environment production \\
    --symbols BTCUSDT --strategy my_strategy:MyStrategy --compose
  warmup-job init bars --market spot --environment production \\
    --symbols BTCUSDT,ETHUSDT --strategy none --intervals 1m,1h
"""


@click.command(cls=SectionedCommand, epilog=_EXAMPLES)
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--market", type=click.Choice(_MARKETS),
              help="futures: USDⓈ-M perpetuals. Live trading is for futures only.")  # fmt: skip
@click.option("--environment", "place", type=click.Choice(_PLACES),
              help="production: Binance's real market, where bars and paper trading need no key. "
              "local: the exchange of `warmup-job exchange`.")  # fmt: skip
@click.option("--symbols", metavar="SYMBOL,…", help="E.g. BTCUSDT,ETHUSDT.")
@click.option("--strategy", metavar="STRATEGY",
              help="hedge-grid (HedgeGridV1), your own package.module:Class, or none: bars only. A "
              "module that does not exist yet is written, as an example with two "
              "timeframes.")  # fmt: skip
@click.option("--intervals", metavar="INTERVAL,…",
              help="Bars to download, or those of your own strategy; default 1m.")  # fmt: skip
@click.option("--base-qty", "quantities", multiple=True, metavar="SYMBOL=QUANTITY",
              help="Quantity of a HedgeGridV1's first order, for a symbol whose usual quantity is "
              "not known.")  # fmt: skip
@click.option("--set", "fields", multiple=True, metavar="FIELD=VALUE",
              help="A field of your strategy's configuration that has no default.")  # fmt: skip
@click.option("--compose", is_flag=True, help="Also write compose.yaml.")
@click.option("--dockerfile", is_flag=True,
              help="Also write a Dockerfile that adds these files and your strategy to the "
              "image.")  # fmt: skip
@click.option("--kustomize", is_flag=True, help="Also write a kustomize overlay on k8s/base.")
@click.option("--k8s-base", type=click.Path(path_type=Path, file_okay=False),
              help="k8s/base of a checkout of warmup_job. Omit if this command runs from "
              "it.")  # fmt: skip
@click.option("--force", is_flag=True,
              help="Replace settings that exist. A strategy's code is never replaced.")  # fmt: skip
def init(  # noqa: PLR0917 - click passes them by name
    folder: Path,
    market: str | None,
    place: Place | None,
    symbols: str | None,
    strategy: str | None,
    intervals: str | None,
    quantities: tuple[str, ...],
    fields: tuple[str, ...],
    compose: bool,
    dockerfile: bool,
    kustomize: bool,
    k8s_base: Path | None,
    force: bool,
) -> None:
    """Write a configuration that runs to FOLDER, by default the current one.

    On a terminal it asks what the options do not say: market and environment, symbols, strategy.
    It sends no request.
    """
    from warmup_job.init_files.file_set import make_files
    from warmup_job.init_files.init_choices import MARKETS, InitChoices
    from warmup_job.init_files.symbol_check import plausible_symbols
    from warmup_job.init_files.write_files import write_files

    missing = [
        f"--{name} ({values})"
        for name, value, values in (
            ("market", market, "futures or spot"),
            ("environment", place, "production, testnet, demo or local"),
            ("symbols", symbols, "e.g. BTCUSDT"),
            ("strategy", strategy, "hedge-grid, package.module:Class or none"),
        )
        if value is None
    ]
    if missing and not sys.stdin.isatty():
        raise ConfigError(f"init can ask questions only on a terminal: add {', '.join(missing)}")
    if market is None or place is None:
        market, place = _ask_market(market, place)
    traded = MARKETS[market]
    if symbols is None:
        text = "2. Symbols, e.g. BTCUSDT,ETHUSDT"
        chosen = _ask(text, "BTCUSDT", lambda answer: plausible_symbols(answer, traded))
    else:
        chosen = plausible_symbols(symbols, traded)
    if strategy is None:
        strategy = _ask_strategy(traded)
    choices = InitChoices(
        folder=folder,
        market=traded,
        place=place,
        symbols=chosen,
        strategy=_strategy(strategy),
        intervals=_intervals(intervals),
        quantities=_pairs("--base-qty", quantities, _quantity),
        fields=_pairs("--set", fields, str),
        compose=compose,
        dockerfile=dockerfile,
        k8s_base=_k8s_base(k8s_base) if kustomize or k8s_base is not None else None,
    )
    made = make_files(choices)
    write_files(made, force=force)
    _report(choices, made)


def _ask[T](text: str, default: str, read: Callable[[str], T]) -> T:
    """Ask on the terminal until the answer can be used."""

    def checked(answer: str) -> T:
        try:
            return read(answer)
        except ConfigError as error:
            raise click.UsageError(str(error)) from None

    answer: T = click.prompt(text, default=default, value_proc=checked, err=True)
    return answer


def _ask_market(market: str | None, place: Place | None) -> tuple[str, Place]:
    def read(answer: str) -> tuple[str, Place]:
        words = answer.replace(",", " ").lower().split()
        markets = [each for each in _MARKETS if each in words]
        places = [each for each in _PLACES if each in words]
        markets = markets or [market or "futures"]
        places = places or [place or "production"]
        known = words and {*words} <= {*_MARKETS, *_PLACES}
        if not known or len(markets) != 1 or len(places) != 1:
            raise ConfigError(
                f"write a market ({', '.join(_MARKETS)}) and an environment "
                f"({', '.join(_PLACES)}), e.g. futures production"
            )
        return markets[0], places[0]

    text = "1. Market (futures, spot) and environment (production, testnet, demo, local)"
    return _ask(text, f"{market or 'futures'} {place or 'production'}", read)


def _ask_strategy(market: Market) -> str:
    from warmup_job.init_files.init_choices import check_strategy

    def read(answer: str) -> str:
        strategy = _strategy(answer)
        check_strategy(strategy, market)
        return strategy

    text = "3. Strategy (hedge-grid, your own package.module:Class, or none: bars only)"
    return _ask(text, "hedge-grid" if market == "um" else "none", read)


def _strategy(text: str) -> str:
    """Read the answer to the third question.

    Raises:
        ConfigError: It is neither a known word nor a class.
    """
    from warmup_job.config.values import class_path

    word = text.strip().lower().replace("_", "-")
    if word in ("hedge-grid", "hedge-grid-v1", "hedgegridv1"):
        return "hedge-grid"
    if word == "none":
        return word
    try:
        return class_path(text.strip())
    except ValueError:
        raise ConfigError(
            f"--strategy: {text!r} is none of hedge-grid, none, and a class such as "
            "my_strategy:MyStrategy"
        ) from None


def _intervals(text: str | None) -> tuple[str, ...]:
    from warmup_job.market.interval import Interval

    names = (part.strip() for part in (text or "").split(","))
    return tuple(dict.fromkeys(Interval.parse(name).name for name in names if name))


def _pairs(option: str, given: tuple[str, ...], read: Callable[[str], str]) -> dict[str, str]:
    pairs = {}
    for each in given:
        name, sign, value = each.partition("=")
        if not sign or not name or not value or not value.isprintable():
            raise ConfigError(f"{option}: {each!r} is not NAME=VALUE")
        pairs[name] = read(value)
    return pairs


def _quantity(text: str) -> str:
    from warmup_job.config.values import number

    quantity = number(text)
    if quantity is None or quantity <= 0:
        raise ConfigError(f"--base-qty: {text!r} is not a quantity such as 0.004")
    return text


def _k8s_base(given: Path | None) -> Path:
    base = given or Path(__file__).parent.parent.parent / "k8s/base"
    if not (base / "kustomization.yaml").is_file():
        raise ConfigError(
            f"--kustomize: there is no {base}/kustomization.yaml: clone warmup_job and name its "
            "folder with --k8s-base warmup_job/k8s/base"
        )
    return base


def _report(choices: InitChoices, made: FileSet) -> None:
    """Print what was written, and the next two commands."""
    for path in (*made.settings, *made.code):
        click.echo(f"wrote {path}")
    own = made.own
    if own is not None and own.exists:
        click.echo(f"{own.file or own.module} exists and stays as it is")
    config = shlex.quote(str(choices.folder / "warmup.yaml"))
    commands = [
        (f"warmup-job run --config {config}", "download, check and publish the bars"),
        (f"warmup-job trade --config {config} --mode paper", "go live on paper; Ctrl-C ends it")
        if choices.has_strategy
        else (f"warmup-job verify --config {config}", "check what was published"),
    ]
    if choices.place == "local":
        click.echo("\nThe local exchange must run, in another terminal: warmup-job exchange")
    click.echo("\nNext:")
    width = max(len(command) for command, _ in commands)
    for command, meaning in commands:
        click.echo(f"  {command:<{width}}   # {meaning}")
