"""All checks of ``warmup-job doctor`` in their order: what needs no network first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from warmup_job.binance.endpoints import UrlProblems
from warmup_job.binance.proxies import Proxy, proxy_for
from warmup_job.binance.trusted_authorities import rest_trust, websocket_trust
from warmup_job.catalog.installed_nautilus import installed_nautilus
from warmup_job.doctor.exchange_check import check_exchange, recorded_limit
from warmup_job.doctor.finding import Finding, failed, passed, skipped
from warmup_job.doctor.host_check import judge_hosts
from warmup_job.doctor.name_check import check_name
from warmup_job.doctor.probe_connection import target_of
from warmup_job.doctor.tls_check import check_tls
from warmup_job.doctor.version_check import check_versions
from warmup_job.doctor.volume_check import check_state_dir, check_volume
from warmup_job.doctor.websocket_check import check_websocket
from warmup_job.errors import ConfigError
from warmup_job.plan.venue_client import check_network
from warmup_job.plan.warmup_plan import WarmupPlan

_OF_THE_CONFIGURATION = (
    "strategy", "indicators", "volume", "state_dir", "hosts", "proxy", "dns", "tls", "exchange",
    "clock", "weight", "symbols", "websocket",
)  # fmt: skip
_WITHOUT_NAUTILUS = "nautilus_trader is not installed here"
_OF_THE_NETWORK = _OF_THE_CONFIGURATION[6:]


def without_configuration() -> Iterator[Finding]:
    """Yield the findings if the configuration cannot be used, which most checks need."""
    yield check_versions()
    for check in _OF_THE_CONFIGURATION:
        yield skipped(check, "the configuration cannot be used")


async def examine(plan: WarmupPlan, urls: UrlProblems, *, live: bool) -> AsyncIterator[Finding]:
    """Make every check and yield each finding when it is there.

    Args:
        plan: The resolved configuration.
        urls: What is wrong with the venue file's URLs.
        live: Whether real orders are to be sent, which requires more.
    """
    yield check_versions(live=live)
    for finding in _of_the_strategies(plan):
        yield finding
    yield check_volume(plan)
    yield check_state_dir(plan.trader.state_dir, live=live)
    for finding in judge_hosts(urls, plan.venue.rest_url, plan.venue.websocket_url):
        yield finding
    async for finding in _over_the_network(plan, live=live):
        yield finding


def _of_the_strategies(plan: WarmupPlan) -> list[Finding]:
    if plan.strategies and installed_nautilus() is None:
        return [skipped(check, _WITHOUT_NAUTILUS) for check in _OF_THE_CONFIGURATION[:2]]
    from warmup_job.doctor.strategy_check import check_strategies_and_indicators

    return check_strategies_and_indicators(plan)


async def _over_the_network(plan: WarmupPlan, *, live: bool) -> AsyncIterator[Finding]:
    venue = plan.venue
    urls = {"api.base_url": venue.rest_url, "api.ws_url": venue.websocket_url}
    try:
        check_network(venue, live_data=True)
        proxies = {key: proxy_for(url) for key, url in urls.items()}
    except ConfigError as error:
        yield failed("proxy", error)
        for check in _OF_THE_NETWORK:
            yield skipped(check, "the proxy variables cannot be used")
        return
    yield passed("proxy", _proxy_text(set(proxies.values())))
    hosts = {target_of(url).host: key for key, url in urls.items()}
    names = [_name(host, key, proxies[key]) for host, key in hosts.items()]
    trusts = dict(zip(urls, (rest_trust(), websocket_trust()), strict=True))
    handshakes = [check_tls(url, proxies[key], trusts[key]) for key, url in urls.items()]
    for finding in await asyncio.gather(*names, *handshakes):
        yield finding
    for finding in await check_exchange(plan, live=live):
        yield finding
    if recorded_limit(plan) is not None:
        yield skipped("websocket", "the exchange limits or bans this IP")
    else:
        key = "api.ws_url"
        yield await check_websocket(urls[key], proxies[key], trusts[key])
    if live and installed_nautilus() is None:
        for check in ("live", "account"):
            yield skipped(check, _WITHOUT_NAUTILUS)
    elif live:
        from warmup_job.doctor.account_check import check_account, check_live_settings

        for finding in (*check_live_settings(plan), *await check_account(plan)):
            yield finding


async def _name(host: str, key: str, proxy: Proxy | None) -> Finding:
    if proxy is not None:
        return skipped("dns", f"{host}: the proxy of {proxy.variable} resolves it")
    return await check_name(host, key)


def _proxy_text(proxies: set[Proxy | None]) -> str:
    named = [f"{each.address} ({each.variable})" for each in proxies if each is not None]
    return f"through {' and '.join(named)}" if named else "none: direct connections"
