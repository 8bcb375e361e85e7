"""Which authorities an operator serves where several share a cluster, and what it therefore follows."""

from __future__ import annotations

from dataclasses import dataclass

from mutualtls.core.model import labels

SPEC_AUTHORITY = "spec.authority"
"""Field by which the API server selects identities, as their definition says that it can (KEP-4358)."""
METADATA_NAME = "metadata.name"
"""Field by which it selects authorities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The authorities of one operator: those that are named, or the rest. By default, all."""

    authorities: tuple[str, ...] = ()
    """Those that it serves. None: all but the `others`, also what names an authority that does not exist."""
    others: tuple[str, ...] = ()
    """Those that other operators serve, where none are named that it serves itself."""

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing that it does not serve."""
        return not self.authorities and not self.others

    def shown(self) -> str:
        """Write it for people."""
        return ", ".join(self.authorities) or f"all but {', '.join(self.others)}"

    def holds(self, authority: str | None) -> bool:
        """Tell whether it serves an authority; None: what names none."""
        return authority in self.authorities if self.authorities else authority not in self.others

    def by_field(self, field: str) -> dict[str, str]:
        """Write the selectors by a field of its objects, for a watch each, as such selectors know no `in`.

        They go by the authority that they select; the one of all others goes by "".
        """
        if self.authorities:
            return {name: f"{field}={name}" for name in self.authorities}
        return {"": ",".join(f"{field}!={name}" for name in self.others)}

    def by_label(self, selector: str) -> str:
        """Add to a selector by labels that an object is of an authority that it serves."""
        if self.is_whole:
            return selector
        operator, names = ("in", self.authorities) if self.authorities else ("notin", self.others)
        return f"{selector},{labels.AUTHORITY} {operator} ({','.join(names)})"


EVERYTHING = Scope()
"""The scope of the only operator of a cluster."""
