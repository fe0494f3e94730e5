"""Find ``WARMUP_…`` variables that nothing reads; they are probably misspelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from warmup_job.config.values import shown_key
from warmup_job.market.nearest_word import nearest

PREFIX = "WARMUP_"
ELSEWHERE = frozenset({"WARMUP_IMAGE", "WARMUP_EXCHANGE_URL", "WARMUP_EXCHANGE_WS_URL"})
"""Variables of docker-compose.yml, and of configs/venues/simulated.yaml if it is not loaded."""
_OF_TESTS = "WARMUP_TEST_"


def unknown_variables(
    environ: Mapping[str, str], known: Iterable[str], prefix: str = PREFIX
) -> list[str]:
    """Return a warning for each variable that begins with ``prefix`` and is not known.

    Empty variables count as not set. Kubernetes sets variables for a Service that is named
    warmup-… (``WARMUP_EXCHANGE_SERVICE_HOST``, ``WARMUP_EXCHANGE_PORT_8080_TCP``); they are not
    settings. The warnings do not contain values.

    Args:
        environ: The environment.
        known: The variables that something reads.
        prefix: What the names of the variables begin with.
    """
    known = {*known, *ELSEWHERE}
    services = tuple(_service_prefixes(environ))
    lines = []
    for name in sorted(environ):
        if not name.startswith(prefix) or not environ[name] or name in known:
            continue
        if name.startswith((_OF_TESTS, *services)):
            continue
        near = nearest(name, known)
        hint = "" if near is None else f"; did you mean {near}?"
        lines.append(f"{shown_key(name)}: unknown variable, ignored{hint}")
    return lines


def _service_prefixes(environ: Iterable[str]) -> Iterable[str]:
    for name in environ:
        service, end, rest = name.partition("_SERVICE_HOST")
        if end and not rest:
            yield from (f"{service}_SERVICE_", f"{service}_PORT")
