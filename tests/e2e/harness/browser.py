# SPDX-License-Identifier: Apache-2.0
"""A Chromium without a window, driven by its DevTools protocol over a pipe."""

import base64
import itertools
import json
import os
import pathlib
import shutil
import threading
import time
import typing

from harness import logbook, programs
from harness.child import Child
from harness.deadline import Deadline, Overdue

_CALL_SECONDS = 60

# No services of its own, no pictures of a GPU; root, as which tests may run, has no sandbox in Chromium.
_ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--hide-scrollbars", "--mute-audio",
    "--remote-debugging-pipe",
]


class BrowserError(AssertionError):
    """The browser, or a script in a page, says that something is wrong."""


class Browser:
    """Construct it in the main thread (see Child)."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._home = directory / "chromium"
        self._home.mkdir()
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # The browser reads what it is to do from descriptor 3 and answers on 4.
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}', programs.chromium(), *_ARGUMENTS,
                   f"--user-data-dir={self._home}", "about:blank"]
        self._process = Child("Chromium", command, directory / "chromium.log", pass_fds=(theirs_in, theirs_out),
                              env={"HOME": str(self._home)})
        os.close(theirs_in)
        os.close(theirs_out)
        self._out = os.fdopen(ours_out, "wb", buffering=0)
        self._in = os.fdopen(ours_in, "rb", buffering=0)
        self._ids = itertools.count(1)
        self._changed = threading.Condition()
        self._answers: dict[int, typing.Any] = {}
        self._pages: dict[str, "Page"] = {}
        self._gone = False
        self._reader = threading.Thread(target=self._read, name="chromium", daemon=True)
        self._reader.start()

    def page(self, url: str = "about:blank", width: int = 1280, height: int = 900) -> "Page":
        """A new tab."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        if url != "about:blank":
            page.goto(url)
        return page

    def call(self, method: str, parameters: dict[str, typing.Any] | None = None,
             session: str | None = None) -> typing.Any:
        ident = next(self._ids)
        message: dict[str, typing.Any] = {"id": ident, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = session
        with self._changed:
            self._out.write(json.dumps(message).encode() + b"\0")
        deadline = Deadline(_CALL_SECONDS, f"Chromium to answer {method}")
        with self._changed:
            while ident not in self._answers:
                if self._gone:
                    raise deadline.hopeless(f"it is gone:\n{logbook.tail(self._process.log)}")
                self._changed.wait(deadline.left())
            answer = self._answers.pop(ident)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        self._process.kill()
        self._reader.join()
        self._in.close()
        self._out.close()
        logbook.forget(self._process.log)
        shutil.rmtree(self._home, ignore_errors=True)

    def _read(self) -> None:
        rest = b""
        while data := self._in.read(65536):
            *messages, rest = (rest + data).split(b"\0")
            with self._changed:
                for message in messages:
                    self._take(json.loads(message))
                self._changed.notify_all()
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _take(self, message: dict[str, typing.Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
        elif (page := self._pages.get(message.get("sessionId", ""))) is not None:
            page.note(message["method"], message["params"])

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Page:
    """A tab."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target
        self.complaints: list[str] = []  # what the page or the browser found wrong with it

    def call(self, method: str, parameters: dict[str, typing.Any] | None = None) -> typing.Any:
        return self._browser.call(method, parameters, self._session)

    def note(self, method: str, parameters: dict[str, typing.Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    def goto(self, url: str) -> None:
        failed = self.call("Page.navigate", {"url": url}).get("errorText")
        if failed:
            raise BrowserError(f"{url}: {failed}")
        self.wait(f"{url} to load", "document.readyState === 'complete'")

    def evaluate(self, expression: str) -> typing.Any:
        """The value of an expression, or of its promise."""
        answer = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True,
                                                "userGesture": True})
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """What is in the first element that `selector` finds; empty: there is none."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''"))

    def attribute(self, selector: str, name: str) -> str:
        element = f"document.querySelector({json.dumps(selector)})"
        return str(self.evaluate(f"{element}?.getAttribute({json.dumps(name)}) ?? ''"))

    def click(self, selector: str) -> None:
        element = f"document.querySelector({json.dumps(selector)})"
        assert self.evaluate(f"{element} !== null"), f"there is no {selector}"
        self.evaluate(f"{element}.click()")

    def wait(self, awaited: str, expression: str, seconds: float = 20) -> typing.Any:
        """Until an expression is true in the page. Returns its value."""
        deadline = Deadline(seconds, awaited)
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            try:
                deadline.left()
            except Overdue:
                raise deadline.overdue(f"{expression} is {value!r}; the page says: {self.text('body')[:2000]!r}; "
                                       f"complaints: {self.complaints}") from None
            time.sleep(0.05)

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride",
                  {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def prefer(self, scheme: str) -> None:
        """"light" or "dark"."""
        self.call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def screenshot(self, path: pathlib.Path) -> None:
        image = self.call("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": False})
        path.write_bytes(base64.b64decode(image["data"]))

    def close(self) -> None:
        self._browser.call("Target.closeTarget", {"targetId": self._target})
