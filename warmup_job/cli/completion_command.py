"""``warmup-job completion``: the script that lets a shell complete commands, options and values."""

from __future__ import annotations

import click

from warmup_job.cli.config_options import whole_group
from warmup_job.cli.sectioned_command import SectionedCommand, examples

_PROGRAM = "warmup-job"
_VARIABLE = "_WARMUP_JOB_COMPLETE"  # click's name for it


@click.command(
    cls=SectionedCommand,
    epilog=examples(
        "warmup-job completion bash > ~/.local/share/bash-completion/completions/warmup-job",
        'warmup-job completion zsh > "${fpath[1]}/_warmup-job"',
        "warmup-job completion fish > ~/.config/fish/completions/warmup-job.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a SHELL: bash, zsh or fish.

    It completes commands, options, files, choices, and symbols and intervals of --streams.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.BadParameter(f"click has no completion for {shell}")
    if shell == "bash":  # else bash takes BTCUSDT:1m for three words
        click.echo("COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}")
    click.echo(made(whole_group(), {}, _PROGRAM, _VARIABLE).source())
