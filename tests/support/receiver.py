"""A receiver of webhooks on a real socket that answers as a test likes: well, badly, late, never, or half.

with receiver() as hook:
    hook.script("o-1", 500, "hang", "die", 204)      # what it does with the calls of a stream, one by one
    ...
    hook.heard                                        # every request, in the order in which it came
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Heard(NamedTuple):
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def stream(self) -> str:
        return str(self.document["stream_id"])

    @property
    def version(self) -> int:
        return int(self.document["version"])


class Receiver:
    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.answer: int | str = 204
        self.released = threading.Event()
        self._scripts: dict[str, deque[int | str]] = defaultdict(deque)
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver._answer(self, Heard({k.lower(): v for k, v in self.headers.items()}, body))

            def log_message(self, *_: Any) -> None:
                """A test that fails shows what was heard."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def script(self, stream: str, *answers: int | str) -> None:
        self._scripts[stream].extend(answers)

    def of(self, stream: str) -> list[int]:
        """Versions that were heard of a stream."""
        return [one.version for one in list(self.heard) if one.stream == stream]

    def _answer(self, handler: BaseHTTPRequestHandler, heard: Heard) -> None:
        with self._lock:
            self.heard.append(heard)
            script = self._scripts[heard.stream]
            answer = script.popleft() if script else self.answer
        if answer == "hang":
            self.released.wait(60)
            handler.close_connection = True
            return
        if answer == "die":  # in the middle of its answer
            handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            handler.wfile.flush()
            handler.connection.close()
            handler.close_connection = True
            return
        assert isinstance(answer, int)
        handler.send_response(answer)
        handler.send_header("content-length", "0" if answer == 204 else "2")
        handler.end_headers()
        if answer != 204:
            handler.wfile.write(b"ok")

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    try:
        yield made
    finally:
        made.close()
