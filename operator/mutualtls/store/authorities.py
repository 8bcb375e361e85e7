"""The authorities that are known. Where the spec of one cannot be read, the one before counts on."""

from __future__ import annotations

from typing import Any

from mutualtls.core.api import authority
from mutualtls.core.api.authority import Authority, Compiled
from mutualtls.store.versioned import Resources


class Authorities(Resources[str, Authority]):
    """Authorities by name."""

    def note(self, body: dict[str, Any]) -> Authority | None:
        """Take in an authority. None: it is known at this version or a later one."""
        new = authority.parse(body)
        if self.is_known(new.name, new.resource_version):
            return None
        old = self.get(new.name)
        if old is not None and old.uid == new.uid and old.has_spec:
            new = new.counting(old.compiled)
        self.hold(new.name, new)
        return new

    def note_good_spec(self, known: Authority, good: Compiled) -> Authority:
        """Take in the last good spec of an authority whose current spec cannot be read."""
        new = known.counting(good)
        if self.get(known.name) == known:
            self.hold(known.name, new)
        return new
