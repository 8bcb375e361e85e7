"""What GitOps tools make of identities and authorities, by their own judges, as the API server holds them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.clusters.operators import wait_until
from devtools.machine import programs
from support.authority import AnAuthority
from support.world import World

EXAMPLE = Path(__file__).parents[2] / "examples" / "gitops" / "argocd-cm.yaml"
SPECS: dict[str, dict[str, Any]] = {
    "fine": {},
    "refused": {"dnsNames": ["else.example.com"]},
    "lost": {"authority": "nowhere"},
    "without-password": {"formats": {"pkcs12": {"passwordSecretRef": {"name": "none"}}}},
    "held": {"suspend": True},
}
EXPECTED = {
    "fine": ("Healthy", "Current", "Issued"),
    "refused": ("Degraded", "Failed", "NotPermitted"),
    "lost": ("Degraded", "Failed", "AuthorityNotFound"),
    "without-password": ("Degraded", "Failed", "PasswordMissing"),
    "held": ("Suspended", "InProgress", "Suspended"),
    "waits": ("Progressing", "InProgress", "AuthorityNotReady"),
    "unseen": ("Progressing", "InProgress", "the operator has not seen"),
    "edited": ("Progressing", "InProgress", "the operator has not seen"),
    "leaving": ("Progressing", "Terminating", "being deleted"),
    "authority": ("Healthy", "Current", "Active"),
    "stopped": ("Degraded", "Failed", "SourceInvalid"),
}
"""By name: the health of Argo CD, kstatus, and how the message begins."""


def _judged(script: Path, objects: list[dict[str, Any]]) -> list[dict[str, str]]:
    done = subprocess.run(
        [programs.gitops(), script], input=json.dumps(objects), capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script of the example, in a file."""
    data = yaml.safe_load(EXAMPLE.read_text())["data"]
    path = tmp_path / "health.lua"
    path.write_text(yaml.safe_load(data["resource.customizations"])["mutualtls.dev/*"]["health.lua"])
    return path


def test_each_state_has_its_health(world: World, script: Path) -> None:
    """Green is only what is ready for this spec, and red what only a person can mend."""
    authority = AnAuthority(world=world, name=f"of-{world.namespace}")
    authority.apply(root={"secretRef": {"name": "none"}}, trustDomain="example.com")
    for name, spec in (SPECS | {"waits": {"authority": authority.name}}).items():
        world.apply(name, **spec)
    for name, (_, _, reason) in EXPECTED.items():
        if name in SPECS or name == "waits":
            world.wait_reason(name, reason)
    wait_until(lambda: authority.condition("Ready"), "the authority has a status")

    objects = {name: world.get("mtls", name) or {} for name in (*SPECS, "waits")}
    fine, metadata = objects["fine"], objects["fine"]["metadata"]
    objects["unseen"] = {name: part for name, part in fine.items() if name != "status"} | {
        "status": {"observedGeneration": -1}
    }
    objects["edited"] = fine | {"metadata": metadata | {"generation": metadata["generation"] + 1}}
    objects["leaving"] = fine | {"metadata": metadata | {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    objects |= {"authority": world.get("mtlsca", "default") or {}, "stopped": world.get("mtlsca", authority.name) or {}}
    judged = dict(zip(objects, _judged(script, list(objects.values())), strict=True))

    assert {name: of[:2] for name, of in EXPECTED.items()} == {
        name: (one["argo"], one["kstatus"]) for name, one in judged.items()
    }
    begins = {name: one["said"][: len(EXPECTED[name][2])] for name, one in judged.items()}
    assert {name: of[2] for name, of in EXPECTED.items()} == begins
