"""One file over HTTP: continued where it was cut, tried again a bounded number of times, kept only when it is whole.

The bytes go to ``NAME.part``, those of a second address to a file of their own; ``NAME.part.json`` remembers the
address, the size and what the server calls this version of the file. A later call asks for the rest of the same
version; a server that cannot do that, or that has another version by now, sends all of it. Nothing is ever appended to
bytes of another version.
"""

import contextlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from etude import __version__
from etude.corpora.dataset import Remote
from etude.corpora.unpack import require_room
from etude.errors import CorpusError

_CHUNK_BYTES = 1 << 18
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_LONGEST_WAIT_SEC = 60.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server may keep us waiting.

    Attributes:
        tries: this many attempts in a row may bring no new byte, at least 1.
        most_tries: attempts in all, at least 1.
        stall_sec: an attempt ends when so long a time brings less than ``stall_bytes``.
        stall_bytes: see there.
        first_wait_sec: before the second try; twice as long before each further one.
    """

    tries: int = 6
    most_tries: int = 200
    stall_sec: float = 30.0
    stall_bytes: int = 1024
    first_wait_sec: float = 1.0


class _Failed(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, reason: str, wait_sec: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_sec = wait_sec


class _Refused(Exception):
    """An address will never answer."""


def download(
    remote: Remote,
    folder: Path,
    *,
    patience: Patience | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[Path, str]:
    """Download a file into a folder, whole; its checksum is not looked at.

    Args:
        remote: what and where.
        folder: where it goes; the part of an earlier call is there.
        patience: how often and how long to try.
        progress: called with the bytes that are there and those of the whole file, None if nobody says.

    Returns:
        The file, and the address that it came from.

    Raises:
        CorpusError: no address has it, or none gives all of it; what came stays for the next call. Or the disk is full.
    """
    patience = patience or Patience()
    reasons = []
    folder.mkdir(parents=True, exist_ok=True)
    for number, url in enumerate(remote.urls):
        part = _Part(folder / f"{remote.name}{f'.{number}' if number else ''}.part", url)
        try:
            _fill(part, remote, patience, progress or (lambda done, total: None))
        except _Refused as refused:
            reasons.append(f"{url}: {refused}")
            continue
        return part.finish(folder / remote.name), url
    raise CorpusError(
        f"{remote.name}: cannot be downloaded: {'; '.join(reasons)}; run the command again to continue, or get the "
        "file yourself and name it with --from"
    )


class _Part:
    """The bytes that are there already, and which version of the file they are of."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.facts_path = path, path.with_name(path.name + ".json")
        self.facts: dict[str, Any] = {"url": url, "version": None, "num_bytes": None}
        with contextlib.suppress(OSError, ValueError):
            facts = json.loads(self.facts_path.read_text(encoding="utf-8"))
            if isinstance(facts, dict) and facts.get("url") == url and facts.get("version"):
                self.facts = facts
        if not self.facts["version"]:
            self.path.unlink(missing_ok=True)

    @property
    def num_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, headers: Any, total: int | None) -> None:
        """Forget the bytes; the answer with these headers brings all of them."""
        self.path.unlink(missing_ok=True)
        etag = headers.get("ETag")
        # a weak tag promises no equal bytes
        version = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
        self.facts |= {"version": version, "num_bytes": total}
        self.facts_path.write_text(json.dumps(self.facts), encoding="utf-8")

    def finish(self, path: Path) -> Path:
        self.path.touch()  # of an empty file nothing was written
        self.path.replace(path)
        self.facts_path.unlink(missing_ok=True)
        return path


def _fill(part: _Part, remote: Remote, patience: Patience, progress: Callable[[int, int | None], None]) -> None:
    """Try until all is there.

    Raises:
        _Refused: trying again is of no use, or was of none.
    """
    barren = 0
    for _ in range(patience.most_tries):
        before = part.num_bytes
        try:
            _try_once(part, remote, patience, progress)
            return
        except _Failed as failed:
            # a server that sends everything anew gains nothing
            barren = 0 if part.num_bytes > before else barren + 1
            reason, wait_sec = str(failed), failed.wait_sec
        if barren >= patience.tries:
            break
        if barren:
            wait_sec = max(wait_sec, patience.first_wait_sec * 2 ** (barren - 1))
        time.sleep(min(wait_sec, _LONGEST_WAIT_SEC))
    raise _Refused(f"{reason}, {part.num_bytes:,} bytes are there")


def _try_once(part: _Part, remote: Remote, patience: Patience, progress: Callable[[int, int | None], None]) -> None:
    there = part.num_bytes
    if there and there == part.facts["num_bytes"]:
        return
    if not part.facts["version"]:
        part.path.unlink(missing_ok=True)
        there = 0
    headers = {"User-Agent": f"etude/{__version__}", "Accept-Encoding": "identity"}
    if there:
        headers |= {"Range": f"bytes={there}-", "If-Range": part.facts["version"]}
    with _answer(part.facts["url"], headers, patience.stall_sec, part) as answer:
        total = _begin(answer, part, there, remote)
        require_room(part.path.parent, max(0, (total or remote.num_bytes or 0) - part.num_bytes), what=remote.name)
        with part.path.open("ab") as file:
            for chunk in _chunks(answer, patience):
                file.write(chunk)
                progress(file.tell(), total)
    if total is not None and part.num_bytes != total:
        raise _Failed(f"cut off after {part.num_bytes:,} of {total:,} bytes")


def _begin(answer: Any, part: _Part, there: int, remote: Remote) -> int | None:
    """Look at the head of an answer: does it continue what is there? Return the size of the whole file."""
    length = answer.headers.get("Content-Length")
    length = int(length) if length and length.isdigit() else None
    if answer.status == http.client.PARTIAL_CONTENT:
        spans = (answer.headers.get("Content-Range") or "").removeprefix("bytes ").partition("/")
        if there and spans[0].partition("-")[0] == str(there):
            return int(spans[2]) if spans[2].isdigit() else part.facts["num_bytes"]
        part.path.unlink(missing_ok=True)
        raise _Failed(f"the server sent bytes {spans[0] or 'from nowhere'}, asked for {there}-")
    if remote.unpack and answer.headers.get_content_type() == "text/html":
        raise _Refused("it is a web page, not a file; the server may want somebody to log in or to agree to terms")
    part.begin(answer.headers, length)
    return length


def _chunks(answer: Any, patience: Patience) -> Iterator[bytes]:
    """Yield what comes, while enough comes."""
    since, received = time.monotonic(), 0
    while True:
        try:
            chunk = answer.read1(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _Failed(_reason(error)) from error
        if not chunk:
            return
        yield chunk
        received += len(chunk)
        if time.monotonic() - since > patience.stall_sec:
            if received < patience.stall_bytes:
                raise _Failed(f"stalled: {received} bytes in {patience.stall_sec:g} s")
            since, received = time.monotonic(), 0


@contextlib.contextmanager
def _answer(url: str, headers: dict[str, str], timeout_sec: float, part: _Part) -> Iterator[Any]:
    """Send a request and sort what can go wrong into what another try may mend and what not."""
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout_sec)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.path.unlink(missing_ok=True)
                raise _Failed("the server has a shorter file by now") from error
            if error.code not in _TRY_AGAIN:
                raise _Refused(f"HTTP {error.code} {error.reason}") from error
            after = error.headers.get("Retry-After") or ""
            raise _Failed(f"HTTP {error.code} {error.reason}", float(after) if after.isdigit() else 0.0) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Failed(_reason(error)) from error
    except ValueError as error:
        raise _Refused(f"no address: {error}") from error
    with answer:
        yield answer


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, except to a connection that anybody on the way can change."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise urllib.error.HTTPError(req.full_url, 400, f"redirects to {newurl}, not encrypted", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", None) or error
    if isinstance(inner, TimeoutError):
        return "stalled: nothing came"
    return " ".join(str(inner).split()) or type(inner).__name__
