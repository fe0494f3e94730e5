"""Write the page, and a picture of it by a browser that this machine has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from warmup_job.errors import ConfigError

BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "microsoft-edge",
)  # fmt: skip
_TIMEOUT_S = 120.0
_OPTIONS = (
    "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--window-size=1600,900", "--force-device-scale-factor=1",
    "--virtual-time-budget=20000",
)  # fmt: skip


def write_page(option: str, output: Path, text: str) -> None:
    """Replace ``output``, which ``option`` names.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"{option} {output} cannot be written: {error.strerror}") from None


def write_picture(page: Path, picture: Path) -> None:
    """Draw a page in a headless browser and write what it shows as a PNG of 1600×900 pixels.

    Args:
        page: the HTML file.
        picture: the file to write.

    Raises:
        ConfigError: this machine has no browser, or it wrote no picture.
    """
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise ConfigError(
            f"--png needs Chromium or Chrome, and none is on PATH (searched: {', '.join(BROWSERS)})"
            f": install one, or open {page} in a browser"
        )
    try:
        picture.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"--png {picture} cannot be written: {error.strerror}") from None
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to run as root
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            program, *_OPTIONS, *as_root, f"--user-data-dir={profile}",
            f"--screenshot={picture.resolve()}", page.resolve().as_uri(),
        ]  # fmt: skip
        with subprocess.Popen(  # noqa: S603 - a browser of this machine, without a shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                process.wait(_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
    if not picture.is_file():
        raise ConfigError(
            f"--png: {program} wrote no picture to {picture}: check that the folder exists and can "
            f"be written, or open {page} in a browser"
        )
