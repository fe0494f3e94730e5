"""``warmup-job study``."""

from __future__ import annotations

import functools
from pathlib import Path

import click
import msgspec

from warmup_job.cli.fitted_text import echo_fitted
from warmup_job.cli.renamed_option import RenamedOption
from warmup_job.cli.sectioned_command import SectionedCommand, examples
from warmup_job.cli.shared_options import as_json_option, checked, print_json


@click.command(
    cls=SectionedCommand,
    epilog=examples(
        "warmup-job study ./snapshot",
        "warmup-job study ./snapshot --bars 100,499 --step 10 --json",
        "warmup-job study ./snapshot --chart study.html",
    ),
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…",
                type=click.Path(path_type=Path, exists=True))  # fmt: skip
@click.option("--strategy", envvar="WARMUP_STRATEGY", show_envvar=True,
              default="configs/strategies/hedge_grid_v1.yaml", show_default=True,
              type=click.Path(path_type=Path),
              help="Strategy file whose detector is studied.")  # fmt: skip
@click.option("--bars", "counts", default="70,100,200,300,499,998,1497", show_default=True,
              help="Numbers of bars to warm up with.")  # fmt: skip
@click.option("--bar-type", help="Bar type to read from a catalog that has several.")
@click.option("--step", cls=RenamedOption, old_flag="--every", default=1, show_default=True,
              type=click.IntRange(1), help="Use every N-th bar as a start.")  # fmt: skip
@click.option("--certify-every", default=100, show_default=True, type=click.IntRange(1),
              help="Try to prove the regime of every N-th start.")  # fmt: skip
@click.option("--chart", metavar="FILE.html", type=click.Path(path_type=Path, dir_okay=False),
              help="Also draw the result as one HTML file, which needs no network.")  # fmt: skip
@as_json_option
def study(
    sources: tuple[Path, ...],
    strategy: Path,
    counts: str,
    bar_type: str | None,
    step: int,
    certify_every: int,
    chart: Path | None,
    as_json: bool,
) -> None:
    """Show how often a number of bars would have misjudged the regime, and how often it is proven.

    A SOURCE is a recording (csv.gz in the order of Binance's kline array), a catalog, or a snapshot
    volume. The proof takes a tenth of the lowest and ten times the highest price for the symbol's
    extremes.
    """
    from warmup_job.config import StrategyConfigLoader
    from warmup_job.plan.strategy_plan import detector_of
    from warmup_job.proof.window import Bounds
    from warmup_job.study.series import read_series
    from warmup_job.study.wrong_starts import combined_rows, study

    settings = detector_of(StrategyConfigLoader.load(strategy))
    wanted = checked("--bars", lambda: sorted({int(each) for each in counts.split(",")}))
    tables = []
    for source in sources:
        name, window = read_series(source, bar_type)
        bounds = Bounds(window.bounds.low / 10, window.bounds.high * 10)
        judge = functools.partial(
            study, window, settings, bounds, wanted, step=step, certify_every=certify_every
        )
        tables.append((name, checked(str(source), judge)))
    if len(tables) > 1:
        tables.append(("all", combined_rows([rows for _, rows in tables])))
    if chart is not None:
        from warmup_job.chart.output_files import write_page
        from warmup_job.chart.study_chart import study_file

        write_page("--chart", chart, study_file(settings, dict(tables)))
    if as_json:
        print_json({name: msgspec.to_builtins(rows) for name, rows in tables})
        return
    for name, rows in tables:
        echo_fitted(f"{name}: {rows[0].starts} starts, {rows[0].certified} put to the proof")
        click.echo(f"{'bars':>7}{'wrong':>10}{'of trending':>13}{'proven':>10}")
        for row in rows:
            trending = "-" if row.wrong_of_trending is None else f"{row.wrong_of_trending:.2%}"
            click.echo(f"{row.bars:>7}{row.wrong:>10.3%}{trending:>13}{row.proven:>10.2%}")
