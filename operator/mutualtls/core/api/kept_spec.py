"""The last spec of an authority that could be read, as text: it counts while that of now cannot be read."""

from __future__ import annotations

from typing import Any

import msgspec

from mutualtls.core import bounded
from mutualtls.core.api import authority
from mutualtls.core.api.authority import Compiled
from mutualtls.core.api.authority_spec import AuthoritySpec
from mutualtls.core.errors import UnreadableError

FILE = "spec.json"
"""Key in the data of the ConfigMap that holds the spec of an authority."""


LONGEST = 900 * 1024
"""Of the text that is kept, in characters: a little less than a ConfigMap holds."""


def encode(spec: AuthoritySpec) -> str:
    """Write the spec of an authority as text. Empty where it is too long: then none is kept, rather than an old one."""
    text = msgspec.json.encode(spec).decode()
    return text if len(text.encode()) <= LONGEST else ""


def decode(text: str) -> Compiled | None:
    """Read what `encode` wrote; None where that is not a spec that can be read."""
    try:
        found = authority.read(bounded.decode(text, dict[str, Any], longest=LONGEST))
    except UnreadableError:
        return None
    return None if found.faults else found
