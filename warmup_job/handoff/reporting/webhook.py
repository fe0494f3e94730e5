"""One outgoing webhook: notices as POST requests, which never delay or end trading.

The URL is a secret: no log and no error contains it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec
from loguru import logger

from warmup_job.binance.proxies import Proxy, proxy_for
from warmup_job.errors import ConfigError, LiveRefusedError, WarmupError
from warmup_job.handoff.reporting.notices import Notice, NoticeRules, Notices
from warmup_job.handoff.reporting.report import Report, UncancelledReport, now_ms

if TYPE_CHECKING:
    from aiohttp import ClientSession

_MOST_WAITING = 100
_TIMEOUT_S = 5.0
_RETRY_AFTER_S = (1.0, 5.0)
_LAST_S = 3.0  # how long the end waits for what is still to be sent
_TRY_AGAIN = frozenset({408, 425, 429})  # and 5xx
_NOT_STARTED = frozenset({"starting", "verifying", "stopping"})

WebhookFormat = Literal["slack", "json"]


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where notices go, and which."""

    url: str = field(repr=False)
    form: WebhookFormat
    rules: NoticeRules
    trader: str
    """What the trader trades, and how: the beginning of every message."""
    tag: str
    """Of the trader's order ids."""
    state_dir: str
    """The trader's folder."""

    @property
    def who(self) -> str:
        """Which of several traders this is."""
        return f"order ids …-{self.tag}-…, pid {os.getpid()}, state folder {self.state_dir}"


class Webhook:
    """Sends the notices that follow from reports.

    Args:
        settings: where they go.
        retry_after_s: how long to wait before each further attempt, s.

    Raises:
        ConfigError: the proxy variables of the environment are not valid for this URL.
    """

    def __init__(
        self, settings: WebhookSettings, retry_after_s: tuple[float, ...] = _RETRY_AFTER_S
    ) -> None:
        self._settings = settings
        self._retry_after_s = retry_after_s
        self._notices = Notices(settings.rules)
        self._waiting: asyncio.Queue[Notice] = asyncio.Queue(_MOST_WAITING)
        self._failing = False
        self._problem = ""  # of the newest attempt
        self._sending: Notice | None = None
        self._is_ending = False
        self._lost: list[Notice] = []
        self.has_started = False
        """Whether the trader's node has got as far as its strategies."""
        self.uncancelled: UncancelledReport | None = None
        """Entries that should be cancelled, by the last report; None: there were none."""
        try:
            self._proxy = proxy_for(settings.url)
        except ConfigError as error:
            raise ConfigError(f"trade.notify.url: {error}") from None

    def on_report(self, report: Report) -> None:
        """Queue the notices of a report; when the queue is full, the oldest one is dropped."""
        self.uncancelled = report.uncancelled
        self.has_started = self.has_started or report.state not in _NOT_STARTED
        for notice in self._notices.of(report):
            self.send(notice)

    def send(self, notice: Notice) -> None:
        """Queue a notice."""
        if self._waiting.full():
            self._waiting.get_nowait()
            self._waiting.task_done()
        self._waiting.put_nowait(notice)

    async def run(self) -> None:
        """Send what is queued, until the task is cancelled."""
        import aiohttp  # ccxt has imported it by the time of the first notice

        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        while True:
            notice = self._sending = await self._waiting.get()
            try:
                # A connection is not kept: hours may pass before the next notice.
                async with aiohttp.ClientSession(timeout=timeout) as session:
                    self._note(notice, await self._deliver(session, notice))
            except Exception as error:  # noqa: BLE001 - a notice must not end the trader
                self._note(notice, type(error).__name__)
            finally:
                self._waiting.task_done()

    async def finish(self, last: Notice) -> None:
        """Send what is queued and a last notice, for at most 3 s; log what could not be sent.

        Args:
            last: of the end.
        """
        self._is_ending = True
        self.send(last)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await self._waiting.join()
        lost = [*self._lost, *([] if self._sending is None else [self._sending])]
        while not self._waiting.empty():
            lost.append(self._waiting.get_nowait())
        if lost:
            logger.warning(
                "trade.notify: the trader ends, and this was not delivered ({problem}): {notices}",
                event="notice.lost",
                problem=self._problem or "no answer yet",
                notices="; ".join(each.text for each in lost),
            )

    async def _deliver(self, session: ClientSession, notice: Notice) -> str:
        """Send a notice, with retries; return why that failed, or nothing."""
        problem, again = await self._post(session, notice)
        self._problem = problem
        for wait_s in self._retry_after_s:
            if not again:
                break
            await asyncio.sleep(wait_s)
            problem, again = await self._post(session, notice)
            self._problem = problem
        return problem

    async def _post(self, session: ClientSession, notice: Notice) -> tuple[str, bool]:
        """Send one request; return why it failed, and whether another one could succeed."""
        import aiohttp

        body = msgspec.json.encode(self._body(notice))
        headers = {"Content-Type": "application/json"}
        options: dict[str, Any] = {"allow_redirects": False, "headers": headers}
        if self._proxy is not None:
            options["proxy"] = self._proxy.address
            self._log_in(self._proxy, options)
        try:
            async with session.post(self._settings.url, data=body, **options) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__, True  # its text could contain the URL
        if 200 <= status < 300:
            return "", False
        return f"HTTP {status}", status in _TRY_AGAIN or status >= 500

    def _log_in(self, proxy: Proxy, options: dict[str, Any]) -> None:
        if proxy.authorization is None:
            return
        login = {"Proxy-Authorization": proxy.authorization}
        if urlsplit(self._settings.url).scheme == "https":
            options["proxy_headers"] = login
        else:  # no CONNECT request carries it
            options["headers"] |= login

    def _body(self, notice: Notice) -> object:
        settings = self._settings
        trader = settings.trader
        if settings.form == "slack":
            # https://docs.slack.dev/messaging/formatting-message-text escapes these three.
            text = f"{trader}: {notice.text}"
            for plain, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
                text = text.replace(plain, escaped)
            return {"text": text}
        who = {
            "trader": trader, "host": socket.gethostname(), "pid": os.getpid(),
            "tag": settings.tag, "state_dir": settings.state_dir,
        }  # fmt: skip
        return who | msgspec.to_builtins(notice)

    def _note(self, notice: Notice, problem: str) -> None:
        """Log that the webhook fails, once until it works again; at the end `finish` does."""
        self._sending, self._problem = None, problem
        if self._is_ending:
            if problem:
                self._lost.append(notice)
            return
        if problem and not self._failing:
            logger.warning(
                "trade.notify: a notice was not delivered ({problem}): check the URL and the "
                "network. Further failures are not logged",
                event="notice.not_delivered",
                problem=problem,
            )
        elif self._failing and not problem:
            logger.info("trade.notify: notices are delivered again", event="notice.delivered_again")
        self._failing = bool(problem)


@asynccontextmanager
async def notifying(settings: WebhookSettings | None) -> AsyncIterator[Webhook | None]:
    """Send notices until the block ends; the last one says why it ended.

    A trader that did not get as far as its strategies, or that gives way to another one, was
    ``refused``: ``stopped`` would be taken for the end of the trader that goes on.

    Args:
        settings: where notices go; None: nowhere.

    Raises:
        ConfigError: see `Webhook`.
    """
    if settings is None:
        yield None
        return
    webhook = Webhook(settings)
    sending = asyncio.create_task(webhook.run(), name="webhook")
    failure: BaseException | None = None
    try:
        yield webhook
    except Exception as error:
        failure = error
        raise
    finally:
        await webhook.finish(_last_notice(webhook, settings, failure))
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


def _last_notice(
    webhook: Webhook, settings: WebhookSettings, failure: BaseException | None
) -> Notice:
    why = "a bug; its log has the trace"
    if failure is None:
        why = "it was asked to stop"
    elif isinstance(failure, WarmupError):
        why = str(failure)
    if webhook.uncancelled is not None:
        why = f"{why}. {webhook.uncancelled.alarm}"
    if failure is None or (webhook.has_started and not isinstance(failure, LiveRefusedError)):
        return Notice(event="stopped", text=f"stopped: {why}", at_ms=now_ms())
    what = "gave way" if webhook.has_started else "did not start"
    text = f"{what} ({settings.who}): {why}"
    return Notice(event="refused", text=text, at_ms=now_ms())
