"""A headless Chromium, spoken to over a pipe in its own protocol (CDP): nothing to install beside the browser itself."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find() -> str | None:
    """The browser on this machine, if there is one; CHROMIUM names another."""
    return os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser with one page. Every address that the page asks for is noted in `asked`."""

    def __init__(self, program: str, profile: Path) -> None:
        profile.mkdir(exist_ok=True)
        self._complaints = (profile / "complaints.txt").open("w+b")
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def hand_over() -> None:
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        flags = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--mute-audio",
        ]
        quiet = [
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
        ]
        self._process = subprocess.Popen(
            [program, *flags, *quiet, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=hand_over,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._number, self._session = b"", 0, None
        self.asked: list[str] = []
        self.said: list[str] = []
        self._events: list[str] = []
        target = next(t for t in self._send("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self._send("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._send(f"{domain}.enable")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._complaints.close()

    def _ended(self) -> str:
        """Why there is no browser any more, in its own words."""
        status = self._process.wait()
        self._complaints.seek(0)
        return f"the browser ended with status {status}:\n{self._complaints.read().decode(errors='replace')[-2000:]}"

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 16)
            assert part, self._ended()
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def _note(self, message: dict[str, Any]) -> None:
        method, params = message.get("method", ""), message.get("params", {})
        self._events.append(method)
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.said.append(params["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif method == "Log.entryAdded":
            self.said.append(params["entry"]["text"])

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._number, "method": method, "params": params, **session}
        try:
            os.write(self._write, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise AssertionError(self._ended()) from None
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def look(self, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Size and colour scheme of the window."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._send("Emulation.setEmulatedMedia", features=features)

    def open(self, url: str) -> None:
        """Load an address, from the beginning."""
        for address in ("about:blank", url):
            self.asked.clear()
            self.said.clear()
            self._events.clear()
            self._send("Page.navigate", url=address)
            while "Page.loadEventFired" not in self._events:
                self._note(self._message())

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript in the page; a promise is awaited."""
        found = self._send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, *, text: str | None = None) -> None:
        """One key, down and up."""
        said = {"key": key, "code": key, **({"text": text} if text else {})}
        codes = {"Tab": 9, "Enter": 13, "Escape": 27}
        if key in codes:
            said["windowsVirtualKeyCode"] = codes[key]
        self._send("Input.dispatchKeyEvent", type="keyDown", **said)
        self._send("Input.dispatchKeyEvent", type="keyUp", **said)

    def tree(self) -> list[dict[str, Any]]:
        """What a screen reader is told."""
        return self._send("Accessibility.getFullAXTree")["nodes"]

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        data = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))

    def print(self, file: Path) -> None:
        """The page as it would be printed."""
        file.write_bytes(base64.b64decode(self._send("Page.printToPDF", preferCSSPageSize=True)["data"]))
