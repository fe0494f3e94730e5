"""Write the files of a configuration, and never replace what the user has."""

from __future__ import annotations

from warmup_job.errors import ConfigError
from warmup_job.init_files.file_set import FileSet
from warmup_job.process.os_errors import cause_of


def write_files(made: FileSet, *, force: bool) -> None:
    """Write all files, or none if one exists already.

    Args:
        made: The files.
        force: Replace settings that exist. The code of a strategy is never replaced.

    Raises:
        ConfigError: A file exists, or the folder cannot be written.
    """
    path = next(iter(made.settings))
    try:
        existing = sorted(path.name for path in made.settings if path.exists() or path.is_symlink())
        if existing and not force:
            raise ConfigError(
                f"nothing was written, because these files exist: {', '.join(existing)}: choose "
                "another folder (warmup-job init FOLDER), or replace them with --force"
            )
        for path, text in {**made.settings, **made.code}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path in made.code:
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
            else:
                path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({cause_of(error)}): choose a folder that you can write"
        ) from None
