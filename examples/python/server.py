"""An HTTPS server that knows its callers by the names in their certificates, and loads renewed files at once."""

import os
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FILES = Path(os.environ.get("FILES", "/var/run/mtls"))
ADDRESS = os.environ.get("ADDRESS", "")
PORT = int(os.environ.get("PORT", "8443"))
CALLERS = {"python-client.shop.svc"}


class Handler(BaseHTTPRequestHandler):
    """Answers permitted callers with the serial number of their certificate."""

    timeout = 10

    def handle(self) -> None:
        """Shake hands in this connection's own thread, so that a slow caller delays no other."""
        self.connection.do_handshake()
        super().handle()

    def do_GET(self) -> None:
        """Accept only a name of `CALLERS`: the chain alone says only that the caller has some certificate."""
        caller = self.connection.getpeercert()
        names = {value for kind, value in caller["subjectAltName"] if kind == "DNS"}
        if names & CALLERS:
            self.answer(200, f"hello {min(names)}, certificate {caller['serialNumber']}")
        else:
            self.answer(403, f"may not call: {min(names, default='nobody')}")

    def answer(self, status: int, text: str) -> None:
        """Send a line."""
        self.send_response(status)
        self.end_headers()
        self.wfile.write(f"{text}\n".encode())


class Server(ThreadingHTTPServer):
    """Serves every connection with the files that are current when it begins."""

    daemon_threads = True

    def get_request(self):
        """Wrap a connection, without a handshake yet."""
        raw, address = super().get_request()
        return context().wrap_socket(raw, server_side=True, do_handshake_on_connect=False), address


def context() -> ssl.SSLContext:
    """Make a context from the current files."""
    try:
        folder = (FILES / "..data").resolve(strict=True)  # kubelet moves this link, which changes all files at once
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.crt")
        made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    except FileNotFoundError:
        return context()  # it moved it just now
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.verify_mode = ssl.CERT_REQUIRED
    return made


if __name__ == "__main__":
    Server((ADDRESS, PORT), Handler).serve_forever()
