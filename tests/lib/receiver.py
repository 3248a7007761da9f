# SPDX-License-Identifier: GPL-2.0-or-later
"""A real HTTP receiver for alerts, which checks their signatures."""
import hashlib
import hmac
import http.server
import itertools
import json
import threading
import time


class Receiver:
    """Listens on a port of the loopback; `alerts` has (arrival, headers, body) of every delivery it accepted."""

    ports = itertools.count(8080)  # the loopback is the test bed's own

    def __init__(self, secret=None, status=200):
        self.port, self.secret, self.status = next(self.ports), secret, status
        self.alerts, self.refused = [], []
        self.server = None

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self.headers, body)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def take(self, headers, body):
        if self.status != 200 or not self.is_signed(headers, body):
            self.refused.append(body)
        else:
            self.alerts.append((time.monotonic(), dict(headers), json.loads(body)))

    def is_signed(self, headers, body):
        if self.secret is None:
            return True
        text = headers["X-Guardd-Timestamp"].encode() + b"." + body
        expected = "sha256=" + hmac.new(self.secret, text, hashlib.sha256).hexdigest()
        return hmac.compare_digest(headers.get("X-Guardd-Signature", ""), expected)

    @property
    def bodies(self):
        return [body for _, _, body in self.alerts]
