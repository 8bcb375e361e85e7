"""What the programs of a control plane are started with: their arguments, their users, what is audited."""

from __future__ import annotations

import secrets
from pathlib import Path

import yaml

from devtools.clusters.certificates import write_private

USERS = ("admin", "operator")
"""Users of every cluster, both with all rights; two, so that an audit log tells the operator from the tests."""


AUDIT_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  userGroups: ["system:nodes"]
- level: Metadata
"""


def arguments(
    folder: Path, *, client: int, peer: int, server: int, controller: int, audit: bool
) -> dict[str, list[str]]:
    """List the arguments of each program, by its name. The numbers are ports."""
    return {
        "etcd": _etcd(folder, client=client, peer=peer),
        "kube-apiserver": _apiserver(folder, etcd=client, port=server, audit=audit),
        "kube-controller-manager": _controller_manager(folder, port=controller),
    }


def _etcd(folder: Path, *, client: int, peer: int) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        "--log-level=warn",
    ]


def _apiserver(folder: Path, *, etcd: int, port: int, audit: bool) -> list[str]:
    arguments = [
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        f"--service-account-key-file={folder / 'service-account.key'}",
        f"--service-account-signing-key-file={folder / 'service-account.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
    ]
    if audit:
        arguments += [f"--audit-policy-file={folder / 'audit-policy.yaml'}", f"--audit-log-path={folder / 'audit.log'}"]
    return arguments


def _controller_manager(folder: Path, *, port: int) -> list[str]:
    return [
        f"--kubeconfig={folder / 'admin.kubeconfig'}",
        f"--authentication-kubeconfig={folder / 'admin.kubeconfig'}",
        f"--authorization-kubeconfig={folder / 'admin.kubeconfig'}",
        f"--service-account-private-key-file={folder / 'service-account.key'}",
        f"--root-ca-file={folder / 'ca.crt'}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
    ]


def write_users(folder: Path, *, name: str, server: str) -> None:
    """Write the tokens of `USERS`, and a kubeconfig for each."""
    tokens = {user: secrets.token_urlsafe(24) for user in USERS}
    lines = [f"{token},{user},{user},system:masters\n" for user, token in tokens.items()]
    write_private(folder / "tokens.csv", "".join(lines))
    for user, token in tokens.items():
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {"server": server, "certificate-authority": str(folder / "ca.crt")},
                }
            ],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        }
        write_private(kubeconfig(folder, user), yaml.safe_dump(config))


def kubeconfig(folder: Path, user: str) -> Path:
    """Path of the kubeconfig of one of `USERS`."""
    return folder / f"{user}.kubeconfig"


def tokens(folder: Path) -> dict[str, str]:
    """Read the token of each user."""
    lines = (folder / "tokens.csv").read_text().splitlines()
    return {user: token for token, user, *_ in (line.split(",") for line in lines)}
