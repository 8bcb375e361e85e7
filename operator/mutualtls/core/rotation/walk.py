"""A walk: the steps that one look at an authority takes, and the phases of a rotation that it passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mutualtls.core.api.authority_status import ROTATING, AuthorityStatus
from mutualtls.core.api.states import Phase
from mutualtls.core.rotation.progress import Progress


@dataclass(frozen=True, slots=True)
class Walk:
    """The phases that a walk passed, each as it was when it was last decided. Empty: the phase is not known."""

    phases: tuple[Progress, ...] = ()

    @property
    def last(self) -> Progress | None:
        """Where the walk ended."""
        return self.phases[-1] if self.phases else None

    def continued(self, progress: Progress) -> Walk:
        """Add how far the rotation is, in place of what was last added of the same phase."""
        is_same = self.last is not None and self.last.phase is progress.phase
        return Walk((*(self.phases[:-1] if is_same else self.phases), progress))

    def entered(self, old: AuthorityStatus) -> Iterator[tuple[Progress | None, Progress]]:
        """List the phases that a status does not show yet, each with the one before it, where that is known."""
        rotating = old.condition(ROTATING)
        phase, before = rotating.reason if rotating else Phase.STABLE, None
        for progress in self.phases:
            if progress.phase != phase:
                yield before, progress
            phase, before = progress.phase, progress
