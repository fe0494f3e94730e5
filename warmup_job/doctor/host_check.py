"""Check that history and live bars come from one market of one environment. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from warmup_job.binance.endpoints import UrlProblems, known_host
from warmup_job.doctor.finding import Finding, failed, passed, warned
from warmup_job.errors import ConfigError


def judge_hosts(problems: UrlProblems, rest_url: str, websocket_url: str) -> list[Finding]:
    """Judge the REST and the websocket URL.

    Args:
        problems: What is wrong with the URLs as the venue file has them.
        rest_url: The REST base URL in effect.
        websocket_url: The base URL of the websocket in effect.
    """
    found = [failed("hosts", ConfigError(line)) for line in (*problems.rest, *problems.live)]
    found += [warned("hosts", line) for line in problems.warnings]
    if found:
        return found
    served = known_host(rest_url) or "an exchange of your own"
    hosts = dict.fromkeys(urlsplit(url).hostname or "" for url in (rest_url, websocket_url))
    return [passed("hosts", f"{' and '.join(hosts)}: {served}")]
