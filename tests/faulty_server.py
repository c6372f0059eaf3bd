"""A server on this machine that misbehaves in the ways of a script, for tests of downloads."""

import contextlib
import http.server
import threading
import time


class FaultyServer:
    """Serves files from memory; what happens at each request can be set beforehand.

    Attributes
    ----------
    files : dict
        Path ("/structures/...") -> bytes.
    script : dict
        Path -> list of faults, one for each of the next requests; afterwards the file is served properly. A fault is
        ("cut", n): hang up after n bytes; ("short", n): say the full length, send n bytes, end properly; ("lie", n):
        say that the file has n bytes; ("status", code, headers); ("html",); ("redirect", address); ("slow", pieces,
        seconds): in pieces with pauses; ("silent", seconds): no answer for so long; ("no length",): without a
        Content-Length, up to the end of the connection.
    requests : list of (path, Range header or None)
    etag : str or None
    """

    def __init__(self, context=None):
        self.files, self.script, self.requests, self.etag = {}, {}, [], '"one"'
        self._context = context
        self.scheme = "http" if context is None else "https"

    def __enter__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def log_message(self, *args):
                pass

            def do_GET(self):
                with contextlib.suppress(ConnectionError):
                    outer._answer(self)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *a: None
        if self._context is not None:
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler):
        path = handler.path
        asked = handler.headers.get("Range")
        self.requests.append((path, asked))
        faults = self.script.get(path, [])
        fault = faults.pop(0) if faults else (None,)
        if fault[0] == "silent":
            time.sleep(fault[1])
            return
        if fault[0] == "status":
            handler.send_response(fault[1])
            for name, value in (fault[2] if len(fault) > 2 else {}).items():
                handler.send_header(name, value)
            handler.end_headers()
            return
        if fault[0] == "redirect":
            handler.send_response(302)
            handler.send_header("Location", fault[1])
            handler.end_headers()
            return
        if fault[0] == "html":
            body = b"<!DOCTYPE html><html><body>Please log in</body></html>"
            handler.send_response(200)
            if fault[1:] != ("as data",):
                handler.send_header("Content-Type", "text/html; charset=utf-8")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return
        if path not in self.files:
            handler.send_response(404)
            handler.end_headers()
            return
        self._send(handler, self.files[path], asked, fault)

    def _send(self, handler, body, asked, fault):
        start = int(asked[6:].split("-")[0]) if asked else 0
        if start >= len(body) and asked:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(body)}")
            handler.end_headers()
            return
        handler.send_response(206 if asked else 200)
        if self.etag is not None:
            handler.send_header("ETag", self.etag)
        rest = body[start:]
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if fault[0] != "no length":
            handler.send_header("Content-Length", str(fault[1] if fault[0] == "lie" else len(rest)))
        handler.end_headers()
        if fault[0] in ("cut", "short"):
            handler.wfile.write(rest[:fault[1]])
            handler.wfile.flush()
            if fault[0] == "cut":
                handler.connection.close()
        elif fault[0] == "lie":
            handler.wfile.write(rest[:fault[1]])
        elif fault[0] == "slow":
            size = -(-len(rest) // fault[1])
            for first in range(0, len(rest), size):
                handler.wfile.write(rest[first:first + size])
                handler.wfile.flush()
                time.sleep(fault[2])
        else:
            handler.wfile.write(rest)
