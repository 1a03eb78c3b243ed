"""A proxy on loopback that passes requests on to a service and keeps what both sides said, without keys or headers."""

import json
import re
import threading
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests_support.loopback import Door, Loopback

Json = dict[str, Any]

PASSED_ON = ("authorization", "content-type", "accept", "range", "openai-organization", "openai-project")
PASSED_BACK = ("content-type", "content-disposition", "content-range", "x-request-id", "retry-after")
ACCOUNT = re.compile(rb"(org|proj|user)-[A-Za-z0-9]{8,}")
CHUNK = 65536


class _Door(Door):
    def respond(self) -> None:
        upstream, body = self.owner.upstream, self.read_body()
        connect = HTTPSConnection if upstream.scheme == "https" else HTTPConnection
        connection = connect(upstream.netloc, timeout=300)
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        connection.request(self.command, upstream.path.rstrip("/") + self.path, body or None, headers)
        reply = connection.getresponse()
        back = {name: value for name in PASSED_BACK if (value := reply.getheader(name))}
        self.begin(reply.status, {**back, "Transfer-Encoding": "chunked"})
        said = bytearray()
        while piece := reply.read1(CHUNK):
            said += piece
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        connection.close()
        asked = _parsed(body) if body else None
        exchange = {"method": self.command, "path": self.path, "request": asked, "status": {"code": reply.status}}
        self.owner.keep(exchange, reply.getheader("content-type") or "", bytes(said))


class RecordingProxy(Loopback):
    """Records into `folder`, one pair a request: `NN-post-responses.request.json` and `NN-post-responses.sse`.

    Neither the key nor an account's id is written. Bodies that are neither JSON nor events (uploads, files) are kept as
    their length alone.

    `upstream` is the service's base URL, `key` must never be written down; the traffic goes to the new `folder`.
    """

    door, base = _Door, ""

    def __init__(self, upstream: str, key: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.upstream, self._key, self._folder = urlsplit(upstream), key.encode(), folder
        self._numbers, self._lock = iter(range(1, 10_000)), threading.Lock()

    def keep(self, exchange: Json, media_type: str, said: bytes) -> None:
        """Write one exchange: what was asked as `.request.json`, the answer as `.sse` or `.json`; other bytes not."""
        with self._lock:
            number = next(self._numbers)
        path = re.sub(r"/(cntr|cfile|resp)_\w+", "/id", exchange["path"].partition("?")[0])
        stem = self._folder / f"{number:03}-{exchange['method'].lower()}{re.sub(r'[^a-z]+', '-', path)}"
        stem.with_suffix(".request.json").write_bytes(self._clean(json.dumps(exchange, indent=1).encode()))
        if "event-stream" in media_type:
            stem.with_suffix(".sse").write_bytes(self._clean(said))
        elif "json" in media_type:
            stem.with_suffix(".json").write_bytes(self._clean(said))

    def _clean(self, body: bytes) -> bytes:
        return ACCOUNT.sub(rb"\1-REDACTED", body.replace(self._key, b"REDACTED"))


def _parsed(body: bytes) -> Any:
    """A JSON body as it is; of any other body (an upload) the number of bytes."""
    try:
        return json.loads(body)
    except ValueError:
        return {"bytes": len(body)}
