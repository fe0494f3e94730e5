"""What is imported late is complete when somebody uses it."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs_nautilus import needs_nautilus
from warmup_job.process.late_tls import late_context

PREPARED = (
    "from warmup_job.process.late_imports import change_slow_imports; change_slow_imports(); "
)
SCHEMES = "nautilus_trader.model.tick_scheme"


def run_python(code: str, **env: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | env)


@needs_nautilus
def test_late_imports_tick_schemes_are_made_when_they_are_used() -> None:
    tables = f"'{SCHEMES}.implementations.tiered' in sys.modules"
    run_python(
        PREPARED + "import sys; from nautilus_trader.model.instruments import Instrument; "
        f"assert not {tables}; import {SCHEMES} as schemes; assert not {tables}; "
        "assert not hasattr(schemes, '__no_such_name__'); assert not " + tables + "; "
        "assert str(schemes.get_tick_scheme('TOPIX100').next_ask_price(1000.2)) == '1000.5000'; "
        "assert schemes.get_tick_scheme('FOREX_5DECIMAL') is schemes.FOREX_5DECIMAL_TICK_SCHEME; "
        "assert schemes.__loader__ is schemes.__spec__.loader; "
        "assert schemes.__loader__.get_source(schemes.__name__)"
    )


@needs_nautilus
@pytest.mark.parametrize(
    "use",
    [
        f"from {SCHEMES} import *; TOPIX100_TICK_SCHEME",
        f"from {SCHEMES} import TOPIX100_TICK_SCHEME",
        f"import {SCHEMES} as s; s.register_tick_scheme; s.get_tick_scheme('TOPIX100')",
    ],
)
def test_late_imports_tick_schemes_can_be_imported_in_any_way(use: str) -> None:
    run_python(PREPARED + use)


@needs_nautilus
def test_late_imports_unknown_name_of_tick_schemes_is_an_import_error() -> None:
    run_python(
        PREPARED + "\ntry:\n"
        f"    from {SCHEMES} import no_such_scheme\n"
        "except ImportError as error:\n    assert 'no_such_scheme' in str(error)\n"
        "else:\n    raise AssertionError\n"
    )


def test_late_imports_aiohttp_trusts_what_it_trusts_without_them() -> None:
    """Its connections use the context that it makes at its import."""
    told = (
        "import ssl; from aiohttp import connector; made = connector._SSL_CONTEXT_VERIFIED; "
        "before = len(made.get_ca_certs()); made.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), "
        "server_hostname='a.b'); after = made.get_ca_certs(); "
    )
    run_python(PREPARED + told + "assert before == 0 < len(after)")
    run_python(
        PREPARED + told + "other = connector._SSL_CONTEXT_UNVERIFIED; assert not "
        "other.get_ca_certs(); assert 'set_default_verify_paths' not in vars(ssl.SSLContext); "
        "other.set_default_verify_paths(); assert other.get_ca_certs()"
    )
    run_python(
        PREPARED + told + "assert after == ssl.create_default_context().get_ca_certs(); "
        "assert type(ssl.create_default_context()) is ssl.SSLContext"
    )


def test_late_context_has_the_settings_of_the_usual_one() -> None:
    late, usual = late_context(), ssl.create_default_context()
    for name in (
        "options", "protocol", "verify_flags", "verify_mode", "check_hostname", "minimum_version",
        "maximum_version", "security_level", "post_handshake_auth",
    ):  # fmt: skip
        assert getattr(late, name) == getattr(usual, name), name


def test_late_context_reads_a_file_once_and_tells_when_it_cannot(tmp_path: Path) -> None:
    missing = tmp_path / "authorities.pem"
    late = late_context(cafile=str(missing))
    with pytest.raises(FileNotFoundError):
        late.read()
    missing.write_text(Path(ssl_file()).read_text())
    late.read()
    count = len(late.get_ca_certs())
    assert count > 0
    missing.unlink()
    late.read()
    assert len(late.get_ca_certs()) == count


def ssl_file() -> str:
    import certifi

    return certifi.where()
