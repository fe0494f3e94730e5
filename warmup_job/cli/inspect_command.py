"""``warmup-job inspect``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from warmup_job.cli.fitted_text import echo_fitted
from warmup_job.cli.sectioned_command import SectionedCommand, examples
from warmup_job.cli.shared_options import as_json_option, print_json
from warmup_job.market.times import utc_text


@click.command(
    cls=SectionedCommand,
    epilog=examples(
        "warmup-job inspect ./snapshot",
        "warmup-job inspect ./snapshot --json",
    ),
)
@click.argument("root", envvar="WARMUP_ROOT", type=click.Path(path_type=Path))
@as_json_option
def inspect(root: Path, as_json: bool) -> None:
    """Show what the current snapshot in the volume ROOT contains."""
    from warmup_job.snapshot.verify import open_snapshot

    snapshot = open_snapshot(root)
    manifest = snapshot.manifest
    if as_json:
        print_json(msgspec.to_builtins(manifest))
        return
    echo_fitted(f"{snapshot.folder.name} from {manifest.endpoint}, {utc_text(manifest.created_at)}")
    for stream in manifest.streams:
        gaps = f", {len(stream.gaps)} gap(s) of the venue's" if stream.gaps else ""
        echo_fitted(
            f"  {stream.bar_type}: {stream.bar_count} bars, "
            f"{utc_text(stream.first_open)} to {utc_text(stream.last_close)}{gaps}"
        )
    for reason in manifest.degraded:
        echo_fitted(f"  DEGRADED: {reason}")
    versions = manifest.versions
    echo_fitted(
        f"  content {manifest.content_digest}\n  by warmup-job {versions.warmup_job}, "
        f"ccxt {versions.ccxt}, nautilus_trader {versions.nautilus_trader}, "
        f"pyarrow {versions.pyarrow}"
    )
