"""``warmup-job verify``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warmup_job.cli.fitted_text import echo_fitted
from warmup_job.cli.renamed_option import RenamedOption
from warmup_job.cli.sectioned_command import SectionedCommand, examples
from warmup_job.cli.shared_options import as_json_option, print_json, to_duration_ms
from warmup_job.errors import ConfigError, SnapshotError, help_page
from warmup_job.market.times import duration_text

if TYPE_CHECKING:
    from warmup_job.snapshot.manifest import Manifest


@click.command(
    cls=SectionedCommand,
    epilog=examples(
        "warmup-job verify ./snapshot",
        "warmup-job verify ./snapshot --max-age 10m",
        "warmup-job verify ./snapshot --config configs/warmup.yaml --json",
    ),
)
@click.argument("root", envvar="WARMUP_ROOT", required=False, type=click.Path(path_type=Path))
@click.option("--max-age", "max_age_ms", envvar="WARMUP_MAX_AGE", show_envvar=True,
              metavar="DURATION", callback=to_duration_ms,
              help="Refuse a snapshot that has lacked newer bars for longer than this, e.g. 10m. "
              "Omit to accept any age.")  # fmt: skip
@click.option("--config", "config_path", cls=RenamedOption, old_flag="--for",
              type=click.Path(path_type=Path),
              help="Refuse a snapshot that is not what this warmup.yaml asks for. Without ROOT its "
              "snapshot.root is checked.")  # fmt: skip
@as_json_option
def verify(
    root: Path | None, max_age_ms: int | None, config_path: Path | None, as_json: bool
) -> None:
    """Check the current snapshot in the volume ROOT and list every problem.

    The exit code is 0 if there are no problems, else 20.
    """
    from warmup_job.config import load
    from warmup_job.plan.resolve import resolve
    from warmup_job.snapshot.verify import find_problems, open_snapshot

    wanted = None
    if config_path is not None:
        plan = resolve(load(config_path))
        if plan.strategies and not plan.strategy_streams:
            # Nothing could be required of the snapshot.
            raise ConfigError("\n  ".join(plan.trade_problems))
        wanted = plan.snapshot_requirements
        root = root or plan.root
    if root is None:
        raise ConfigError("verify needs a volume: write its folder, or --config warmup.yaml")
    now_ms = time.time_ns() // 1_000_000
    manifest: Manifest | None = None
    name = None
    try:
        snapshot = open_snapshot(root)
        name, manifest = snapshot.folder.name, snapshot.manifest
        problems = find_problems(
            snapshot, now_ms=now_ms, max_age_ms=max_age_ms, requirements=wanted
        )
    except SnapshotError as error:
        problems = list(error.problems)
    age_ms = manifest.age_ms(now_ms) if manifest else None
    if as_json:
        print_json({"ok": not problems, "snapshot": name, "age_ms": age_ms, "problems": problems})
    elif manifest is not None and not problems:
        missing = (
            f"newer bars have been missing for {duration_text(age_ms)}"
            if age_ms and age_ms > 0
            else "up to date"
        )
        echo_fitted(f"{name} is OK: {len(manifest.files)} files verified; {missing}")
    if problems:
        if not as_json:
            echo_fitted(f"{name or root} is not usable:")
            for problem in problems:
                echo_fitted(f"  - {problem}")
            echo_fitted(f"help: {help_page(SnapshotError.exit_code)}")
        sys.exit(SnapshotError.exit_code)
