"""Where the API server is, and with which token requests are sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from mutualtls.kube import session

CONFIG: dict[str, Any] = {
    "current-context": "here",
    "contexts": [{"name": "there", "context": {"user": "b"}}, {"name": "here", "context": {"user": "a"}}],
    "users": [{"name": "b", "user": {"tokenFile": "b.txt"}}, {"name": "a", "user": {"tokenFile": "a.txt"}}],
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, "a.txt", id="beside the kubeconfig"),
        pytest.param({"current-context": "there"}, "b.txt", id="of the user of the current context"),
        pytest.param({"users": [{"name": "a", "user": {"token": "x"}}]}, None, id="a token that is in the kubeconfig"),
        pytest.param({"current-context": None}, None, id="no context"),
    ],
)
def test_the_file_of_the_token_is_that_of_the_current_user(
    changed: dict[str, Any], expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path counts from the folder of the kubeconfig."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(CONFIG | changed))
    monkeypatch.setenv("KUBECONFIG", str(path))

    assert (tmp_path / expected if expected else None) == session.token_file()


def test_a_token_that_is_not_known_any_more_is_read_from_its_file_again(tmp_path: Path) -> None:
    """Not each time, but at once after the API server said that it does not know it."""
    path = tmp_path / "token"
    path.write_text("old\n")
    authorize = session.fresh_token(path)
    shown: list[str] = []

    async def handle(request: Any) -> Any:
        shown.append(request.headers["Authorization"])
        return SimpleNamespace(status=401 if request.headers["Authorization"] == "Bearer old" else 200)

    async def ask() -> None:
        request = cast("Any", SimpleNamespace(headers={}))
        for _ in range(2):
            await authorize(request, cast("Any", handle))
            path.write_text("new\n")

    asyncio.run(ask())
    assert ["Bearer old", "Bearer new"] == shown


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"HOST": "10.0.0.1", "PORT": "443"}, "https://10.0.0.1:443", id="an IPv4 address"),
        pytest.param({"HOST": "fd00::1", "PORT": "6443"}, "https://[fd00::1]:6443", id="an IPv6 address"),
        pytest.param({}, None, id="no container of a pod"),
    ],
)
def test_the_api_server_is_found_without_dns(environment: dict[str, str], expected: str | None) -> None:
    """By what kubelet tells every container: the DNS of the cluster may be down, or wait for a certificate of ours."""
    told = {f"KUBERNETES_SERVICE_{name}": value for name, value in environment.items()}

    assert expected == session.server_in_cluster(told)
