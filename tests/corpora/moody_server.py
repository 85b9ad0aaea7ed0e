"""A web server on this machine that does to its files what servers do: cut, stall, corrupt, forget, redirect."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class MoodyServer:
    """Serves ``files``; for each request the next of ``moods``, once they are used up it behaves.

    Attributes:
        files: paths to bytes.
        moods: words for the requests to come: ``cut`` and ``cut early``, ``stall`` and ``trickle`` (until released),
            ``ignore range``, ``wrong range``, ``weak``, ``no length``, ``corrupt``, ``web page``, ``redirect PATH``, or
            a status such as ``503``.
        seen: (path, its range or None) of each request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.moods: list[str] = []
        self.seen: list[tuple[str, str | None]] = []
        self.release = threading.Event()
        handler = type("Handler", (_Handler,), {"moody": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/{name}"

    def close(self) -> None:
        self.release.set()
        self._http.shutdown()
        self._http.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    moody: MoodyServer

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:  # noqa: N802
        moody, name, span = self.moody, self.path.lstrip("/").split("?")[0], self.headers.get("Range")
        moody.seen.append((name, span))
        mood = moody.moods.pop(0) if moody.moods else ""
        with contextlib.suppress(ConnectionError):
            if mood.isdigit() or name not in moody.files:
                self.send_error(int(mood or 404))
            elif mood.startswith("redirect "):
                self.send_response(302)
                self.send_header("Location", mood.removeprefix("redirect "))
                self.end_headers()
            else:
                self._send(moody.files[name], span, mood)

    def _send(self, data: bytes, span: str | None, mood: str) -> None:
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        same = self.headers.get("If-Range", tag) == tag
        begin = int(span.removeprefix("bytes=").rstrip("-")) if span and same and mood != "ignore range" else 0
        if begin and begin >= len(data):
            self.send_error(416)
            return
        shown = begin + 1 if mood == "wrong range" else begin
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {shown}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Type", "text/html" if mood == "web page" else "application/octet-stream")
        self.send_header("ETag", f"W/{tag}" if mood.startswith("weak") else tag)
        if mood != "no length":
            self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        rest = data[begin:]
        if mood == "corrupt":
            rest = bytes([rest[0] ^ 255]) + rest[1:]
        if "cut" in mood:
            rest = rest[: 10 if mood.endswith("early") else len(rest) // 2]
        if mood in ("stall", "trickle"):
            rest = rest[:5] if mood == "stall" else rest
            for place in range(len(rest)):
                self.wfile.write(rest[place : place + 1])
                self.moody.release.wait(0.03 if mood == "trickle" else 0)
            self.moody.release.wait()
            return
        self.wfile.write(rest)


@pytest.fixture
def server() -> Iterator[MoodyServer]:
    moody = MoodyServer()
    yield moody
    moody.close()
