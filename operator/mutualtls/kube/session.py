"""Find the API server and make sessions with it: one for the work, which we lend to Kopf, and one for the Lease.

In a cluster by the service account, else by kubeconfig (`KUBECONFIG`, then the usual place). A kubeconfig that needs a
plugin or an auth provider is read by the official client, which is imported only then: it costs 20 MiB.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import yaml

_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_TOKEN_AGE_S = 60.0
_USUAL_KUBECONFIG = "~/.kube/config"
_NEEDS_CLIENT = ("exec", "auth-provider")


class LoginError(Exception):
    """There is no way to the API server. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The API server and a session that speaks to it."""

    server: str
    session: aiohttp.ClientSession


def block_client_library() -> None:
    """Keep Kopf from importing the official client unless the kubeconfig needs it. To be called before that import."""
    if not _needs_client():
        sys.modules.setdefault("kubernetes", None)  # type: ignore[arg-type]


def connect(*, connections: int) -> Connection:
    """Make a session for at most `connections` at once.

    Raises:
        LoginError: neither service account nor kubeconfig is usable.
    """
    import kopf  # noqa: PLC0415 - only after `block_client_library`

    settings = kopf.OperatorSettings()
    info = kopf.login_with_service_account(settings=settings) if _TOKEN.exists() else _login_by_kubeconfig(settings)
    token = token_file()
    middlewares: tuple[aiohttp.ClientMiddlewareType, ...] = (fresh_token(token),) if token is not None else ()
    if info is None or not info.server:
        raise LoginError("no cluster to connect to: pass --kubeconfig FILE or set KUBECONFIG")
    server = (server_in_cluster(os.environ) if _TOKEN.exists() else None) or info.server
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=info.as_ssl_context(), keepalive_timeout=60),
        headers={"User-Agent": "mutualtls-operator", **info.as_http_headers()},
        middlewares=middlewares,
    )
    return Connection(server=server, session=session)


def server_in_cluster(environment: Mapping[str, str]) -> str | None:
    """Find the API server as kubelet tells every container, by its address, as client-go does; None where it does not.

    So that the operator works while the DNS of the cluster does not.
    """
    host, port = (environment.get(f"KUBERNETES_SERVICE_{name}") for name in ("HOST", "PORT"))
    return f"https://{f'[{host}]' if ':' in host else host}:{port}" if host and port else None


def _login_by_kubeconfig(settings: Any) -> Any:
    import kopf  # noqa: PLC0415 - only after `block_client_library`

    try:
        if _needs_client():
            return kopf.login_via_client(settings=settings, logger=logging.getLogger(__name__))
        return kopf.login_with_kubeconfig(settings=settings)
    except (OSError, yaml.YAMLError, kopf.LoginError, KeyError, TypeError) as error:
        raise LoginError(f"kubeconfig is not usable: {error}") from error


def _needs_client() -> bool:
    """Tell whether any user of the kubeconfig logs in by a plugin or an auth provider."""
    if _TOKEN.exists():
        return False
    for name in os.environ.get("KUBECONFIG", _USUAL_KUBECONFIG).split(os.pathsep):
        path = Path(name).expanduser()
        if not path.is_file():
            continue
        users = (yaml.safe_load(path.read_text()) or {}).get("users") or ()
        if any(way in (user.get("user") or {}) for user in users for way in _NEEDS_CLIENT):
            return True
    return False


def token_file() -> Path | None:
    """Tell in which file our token is, of the service account or of the kubeconfig's user; None where in none."""
    if _TOKEN.exists():
        return _TOKEN
    paths = [Path(name).expanduser() for name in os.environ.get("KUBECONFIG", _USUAL_KUBECONFIG).split(os.pathsep)]
    configs = [(path, yaml.safe_load(path.read_text()) or {}) for path in paths if path.is_file()]
    current = next((config["current-context"] for _, config in configs if config.get("current-context")), None)
    contexts = (one for _, config in configs for one in config.get("contexts") or ())
    user = next((one["context"].get("user") for one in contexts if one["name"] == current), None)
    for path, config in configs:
        for one in config.get("users") or ():
            if one["name"] == user:
                file = (one.get("user") or {}).get("tokenFile")
                return path.parent / file if file else None
    return None


def fresh_token(path: Path) -> aiohttp.ClientMiddlewareType:
    """Send a token as it is in its file now, where kubelet replaces it before it expires. Read it anew at a 401."""
    token, read_at = "", -_TOKEN_AGE_S

    async def authorize(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        nonlocal token, read_at
        if time.monotonic() - read_at >= _TOKEN_AGE_S:
            token, read_at = path.read_text().strip(), time.monotonic()  # noqa: ASYNC240 - a tmpfs
        request.headers["Authorization"] = f"Bearer {token}"
        response = await handler(request)
        if response.status == HTTPStatus.UNAUTHORIZED:
            read_at = -_TOKEN_AGE_S
        return response

    return authorize
