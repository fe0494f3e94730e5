"""A headless Chromium that tests draw pages in, by the DevTools protocol.

Protocol: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import aiohttp
import pytest

from tests.support.background_loop import background_loop
from tests.support.suite import HANG_S
from tests.support.waiting import until

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container's /dev/shm is too small
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)
Theme = Literal["light", "dark"]


class PageError(AssertionError):
    """The page threw an exception, or the browser refused a command."""


class DevTools:
    """The browser's websocket: commands and their answers, and what it sends by itself."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, http: aiohttp.ClientSession, socket: Any
    ) -> None:
        self._loop, self._http, self._socket = loop, http, socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listeners: dict[str, Callable[[str, dict[str, Any]], None]] = {}
        self._reading = loop.create_task(self._read())

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Connect to the browser at ``url``."""
        http = aiohttp.ClientSession()
        socket = await http.ws_connect(url, max_msg_size=0)
        return cls(asyncio.get_running_loop(), http, socket)

    async def _read(self) -> None:
        async for message in self._socket:
            got = json.loads(message.data)
            if "id" in got:
                self._answers.pop(got["id"]).set_result(got)
            elif listener := self._listeners.get(got.get("sessionId", "")):
                listener(got["method"], got["params"])
        for waiting in self._answers.values():
            waiting.set_exception(PageError("Chromium has closed its websocket"))

    def listen(self, session: str, listener: Callable[[str, dict[str, Any]], None]) -> None:
        """Call ``listener`` with the method and parameters of each event of ``session``."""
        self._listeners[session] = listener

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run ``coroutine`` in the loop and return its result; fail after ``HANG_S``."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(HANG_S)

    async def ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._ids)
        answer = self._answers[number] = self._loop.create_future()
        command = {"id": number, "method": method, "params": params}
        await self._socket.send_json(command | ({"sessionId": session} if session else {}))
        got = await answer
        if "error" in got:
            raise PageError(f"{method}: {got['error']['message']}")
        result: dict[str, Any] = got["result"]
        return result

    async def close(self) -> None:
        """End the connection."""
        await self._socket.close()
        await self._reading
        await self._http.close()


class Page:
    """A tab with cookies, cache and storage of its own."""

    def __init__(self, devtools: DevTools, session: str, context: str) -> None:
        self._devtools, self._session, self._context = devtools, session, context
        self.events: list[tuple[str, dict[str, Any]]] = []
        """All events since the page was opened: method and parameters."""
        devtools.listen(session, lambda method, params: self.events.append((method, params)))

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol to this page and return its result."""
        result: dict[str, Any] = self._devtools.wait(
            self._devtools.ask(method, self._session, **params)
        )
        return result

    def navigate(self, url: str) -> None:
        """Load ``url`` and wait for its load event."""
        seen = len(self.events)
        answer = self.send("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        self.wait_for_event("Page.loadEventFired", after=seen)

    def wait_for_event(self, method: str, after: int = 0) -> dict[str, Any]:
        """Wait for an event and return its parameters; ``after`` skips that many older events."""

        def found() -> list[dict[str, Any]]:
            return [params for name, params in self.events[after:] if name == method]

        until(found, method)
        return found()[0]

    def evaluate(self, expression: str) -> Any:
        """Return the JSON value of a JavaScript expression; a promise is waited for.

        Raises:
            PageError: The expression threw an exception.
        """
        answer = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise PageError(f"{expression}: {exception_text(answer['exceptionDetails'])}")
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until a JavaScript expression is true, and return its value."""
        until(lambda: self.evaluate(f"Boolean({expression})"), expression)
        return self.evaluate(expression)

    @property
    def problems(self) -> list[str]:
        """Exceptions, console errors and warnings, and what the browser itself reported.

        The last are for example violations of the page's Content-Security-Policy.
        """
        self.evaluate("0")  # its answer comes after everything that the page has reported before
        found = []
        for method, params in self.events:
            if method == "Runtime.exceptionThrown":
                found.append(exception_text(params["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled" and params["type"] in {
                "error",
                "warning",
                "assert",
            }:
                found.append(f"{params['type']}: {console_text(params['args'])}")
            elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
                entry = params["entry"]
                found.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}".strip())
        return found

    @property
    def console(self) -> list[str]:
        """What the page wrote to the console, of all levels."""
        self.evaluate("0")
        return [
            console_text(params["args"])
            for method, params in self.events
            if method == "Runtime.consoleAPICalled"
        ]

    @property
    def requests(self) -> list[str]:
        """The URLs that the page asked for, itself included; without `data:` URLs."""
        self.evaluate("0")
        urls = [
            params["request"]["url"]
            for method, params in self.events
            if method == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def prefer(self, theme: Theme) -> None:
        """Set what `prefers-color-scheme` says."""
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.send("Emulation.setEmulatedMedia", features=features)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the viewport in pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def mouse(self, kind: str, x: float, y: float, **params: Any) -> None:
        """Send a mouse event: `mouseMoved`, `mousePressed`, `mouseReleased`, `mouseWheel`."""
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **params)

    def click(self, selector: str) -> None:
        """Click into the middle of the first element that ``selector`` finds."""
        x, y = self.evaluate(
            f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def screenshot(self) -> bytes:
        """Return a PNG of the viewport."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """Close the tab and forget its cookies, cache and storage."""
        self._devtools.wait(
            self._devtools.ask("Target.disposeBrowserContext", browserContextId=self._context)
        )


class Chromium:
    """A running headless browser."""

    def __init__(self, devtools: DevTools) -> None:
        self._devtools = devtools

    @contextlib.contextmanager
    def page(
        self,
        url: str | Path | None = None,
        *,
        width: int = 1280,
        height: int = 800,
        theme: Theme = "light",
        offline: bool = False,
    ) -> Iterator[Page]:
        """Open a tab, load ``url`` or the file at that path, and close the tab at the end."""
        page: Page = self._devtools.wait(self._open())
        try:
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.send(f"{domain}.enable")
            page.resize(width, height)
            page.prefer(theme)
            if offline:
                page.send(
                    "Network.emulateNetworkConditions",
                    offline=True,
                    latency=0,
                    downloadThroughput=-1,
                    uploadThroughput=-1,
                )
            if url is not None:
                page.navigate(url.resolve().as_uri() if isinstance(url, Path) else url)
            yield page
        finally:
            page.close()

    async def _open(self) -> Page:
        ask = self._devtools.ask
        context = (await ask("Target.createBrowserContext"))["browserContextId"]
        target = await ask("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        return Page(self._devtools, attached["sessionId"], context)


def console_text(arguments: Sequence[dict[str, Any]]) -> str:
    """Return the arguments of a call of `console.log` as text."""
    return " ".join(str(each.get("value", each.get("description"))) for each in arguments)


def exception_text(details: dict[str, Any]) -> str:
    """Return the message and stack of an exception."""
    exception = details.get("exception", {})
    return str(exception.get("description") or exception.get("value") or details["text"])


def browser_program() -> str:
    """Return the path of the browser; fail the test if there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.fail("no Chromium on PATH: run `make chromium`, or install chromium", pytrace=False)


@contextlib.contextmanager
def running_chromium() -> Iterator[Chromium]:
    """Start a headless browser with a new profile, and end it and its children."""
    program = browser_program()
    with (
        tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile,
        background_loop() as loop,
    ):
        log = Path(profile) / "stderr.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )
        try:
            port_file = Path(profile) / "DevToolsActivePort"

            def lines() -> list[str]:
                found = port_file.read_text().splitlines() if port_file.exists() else []
                assert process.poll() is None, f"Chromium ended:\n{log.read_text()[-2000:]}"
                return found if len(found) == 2 else []

            until(lines, "Chromium listens")
            port, path = lines()
            devtools: DevTools = asyncio.run_coroutine_threadsafe(
                DevTools.connect(f"ws://127.0.0.1:{port}{path}"), loop
            ).result(HANG_S)
            try:
                yield Chromium(devtools)
            finally:
                devtools.wait(devtools.close())
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(HANG_S)
