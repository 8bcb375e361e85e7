"""`mutualtls check` beside the API server: what it says of several fields is what `kubectl apply` says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mutualtls.core.api import bounds
from mutualtls.core.api.authority_spec import AuthoritySpec
from mutualtls.core.api.bounds import Rule
from mutualtls.core.model import labels
from support.broken import BROKEN, Broken
from support.world import World


@pytest.mark.parametrize("broken", [pytest.param(one, id=f"{one.field}: {one.beginning}") for one in BROKEN])
def test_rules_over_several_fields_are_those_of_the_api_server(world: World, broken: Broken) -> None:
    """It refuses what breaks one, with its field and its words."""
    kind = labels.AUTHORITY_KIND if broken.kind is AuthoritySpec else labels.IDENTITY_KIND
    head = {"apiVersion": labels.API_VERSION, "kind": kind, "metadata": {"name": world.namespace}}
    manifest = yaml.safe_dump(head | {"spec": broken.spec})
    refusal = world.kubectl("apply", "--dry-run=server", "--filename", "-", stdin=manifest, check=False)
    rules: list[Rule[Any]] = [*bounds.OF_AUTHORITIES, *bounds.OF_IDENTITIES]
    (rule,) = (one for one in rules if one.field == broken.field and one.message.startswith(broken.beginning))

    assert rule.message in refusal
    assert rule.field in refusal
