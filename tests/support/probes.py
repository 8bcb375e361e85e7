"""An operator's HTTP port, as kubelet and Prometheus ask it."""

from __future__ import annotations

import http.client
from dataclasses import dataclass

from devtools.clusters.operators import wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What answers on a port of this machine."""

    port: int

    def ask(self, path: str) -> tuple[int, str]:
        """Ask for `/healthz`, `/readyz` or `/metrics`. Code 0: there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def wait_code(self, path: str, code: int, *, deadline_s: float = 240) -> None:
        """Wait until a question is answered with a code; 0: not at all."""
        wait_until(lambda: self.ask(path)[0] == code, f"{path} answers {code}", deadline_s=deadline_s)
