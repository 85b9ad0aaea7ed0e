"""A real Chromium for tests, driven through chromedriver's own HTTP protocol on the loopback."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_START_SEC = 60


class Browser:
    """One browser window: opens pages, runs scripts in them, clicks, types, and tells what went wrong."""

    def __init__(self, address: str):
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"]
        options = {"goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self._address = address
        answer = self._send("POST", "/session", {"capabilities": {"alwaysMatch": options}})
        self._address = f"{address}/session/{answer['sessionId']}"

    def _send(self, method: str, path: str, body: dict | None = None) -> Any:
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self._address + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, path: Path) -> None:
        """Open a file and wait until it has loaded."""
        self._send("POST", "/url", {"url": path.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """Run a function body in the page and return what it returns."""
        return self._send("POST", "/execute/sync", {"script": script, "args": []})

    def click(self, selector: str, *, nth: int = 0) -> None:
        """Click as a person does."""
        found = self._send("POST", "/elements", {"using": "css selector", "value": selector})
        self._send("POST", f"/element/{found[nth][_ELEMENT]}/click")

    def press(self, key: str) -> None:
        """Press and release one key."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._send("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    def wait(self, condition: str, *, seconds: float = 20) -> Any:
        """Wait until an expression is true in the page and return its value."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if value := self.run(f"return {condition}"):
                return value
            time.sleep(0.05)
        raise TimeoutError(f"still false after {seconds} s: {condition}")

    def emulate(self, *, width: int = 1280, height: int = 900, dark: bool = False, scale: float = 1) -> None:
        """Show the page at a size and in a colour scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.command("Emulation.setEmulatedMedia", features=scheme)

    def command(self, name: str, **values: Any) -> Any:
        """Give a command of the Chrome DevTools protocol."""
        return self._send("POST", "/goog/cdp/execute", {"cmd": name, "params": values})

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Save a picture of the page."""
        shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def problems(self) -> list[str]:
        """Return what the console has said since the last call: errors and warnings."""
        return [f"{entry['level']}: {entry['message']}" for entry in self._log("browser") if entry["level"] != "INFO"]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call, except for files and data inside pages."""
        found = []
        for entry in self._log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                found.append(event["params"]["request"]["url"])
        return [address for address in found if not address.startswith(("file:", "data:", "blob:", "about:"))]

    def _log(self, kind: str) -> list[dict]:
        return self._send("POST", "/se/log", {"type": kind})

    def close(self) -> None:
        """End the window."""
        self._send("DELETE", "")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Yield a browser; it and its driver end with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        [str(shutil.which("chromedriver")), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        window = Browser(f"http://127.0.0.1:{port}")
        try:
            yield window
        finally:
            window.close()
    finally:
        driver.terminate()
        driver.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + _START_SEC
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
