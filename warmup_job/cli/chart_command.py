"""``warmup-job chart``."""

from __future__ import annotations

from pathlib import Path

import click

from warmup_job.cli.sectioned_command import SectionedCommand, examples


@click.command(
    cls=SectionedCommand,
    epilog=examples(
        "warmup-job chart ./snapshot",
        "warmup-job chart ./snapshot --state ./state",
        "warmup-job chart ./snapshot --stream BTCUSDT:1h --output btc.html --png btc.png",
    ),
)
@click.argument("root", envvar="WARMUP_ROOT", type=click.Path(path_type=Path))
@click.option("--stream", "streams", multiple=True, metavar="STREAM",
              help="Draw only this one: BTCUSDT, BTCUSDT:1h, a bar type; repeatable.")  # fmt: skip
@click.option("--state", "state_dir", metavar="DIR",
              type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Also draw what a trader did: its trade.state_dir.")  # fmt: skip
@click.option("--output", default="chart.html", show_default=True, metavar="FILE.html",
              type=click.Path(path_type=Path, dir_okay=False), help="File to write.")  # fmt: skip
@click.option("--png", metavar="FILE.png", type=click.Path(path_type=Path, dir_okay=False),
              help="Also write a picture, with this machine's Chromium or Chrome.")  # fmt: skip
def chart(
    root: Path,
    streams: tuple[str, ...],
    state_dir: Path | None,
    output: Path,
    png: Path | None,
) -> None:
    """Draw the current snapshot in the volume ROOT as one HTML file, which needs no network.

    It shows candles and volume, the detector's EMAs, ADX and ATR, its regime, the bar from which
    the regime is proven, gaps, and bars that Binance has changed since an earlier snapshot.
    With --state also when a trader was live, its orders, entries and exits.
    """
    from warmup_job.chart.output_files import write_page, write_picture
    from warmup_job.chart.snapshot_chart import chart_file, snapshot_chart

    if png is not None and png.resolve() == output.resolve():
        raise click.UsageError(f"--png and --output name the same file, {png}: choose two names")
    trace = None
    if state_dir is not None:
        from warmup_job.chart.trader_trace import read_trace

        trace = read_trace(state_dir)
    made = snapshot_chart(root, streams, trace)
    write_page("--output", output, chart_file(made))
    names = ", ".join(f"{each.symbol} {each.interval}" for each in made.streams)
    click.echo(f"{output}: {names}, {sum(each.bars for each in made.streams)} bars")
    if png is not None:
        write_picture(output, png)
        click.echo(f"{png}: a picture of it")
