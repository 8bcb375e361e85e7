"""A walk: the steps that one look at an authority takes, and the phases of a rotation that it passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mutualtls.core.api.authority_status import ROTATING, AuthorityStatus
from mutualtls.core.api.states import Phase
from mutualtls.core.rotation.progress import Progress

RESULTS = ("done", "rolled_back", "forced")


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

    def results(self, old: AuthorityStatus) -> Iterator[str]:
        """Tell, of `RESULTS`, how rotations ended since a status, and of each gate that was forced that it was."""
        was = _phase(old)
        for before, progress in self.entered(old):
            was = before.phase if before is not None else was
            if before is not None and before.gate.forced:
                yield "forced"
            if progress.phase is Phase.STABLE and was != Phase.STABLE:
                yield "rolled_back" if was in _ROLLED_BACK else "done"
            was = progress.phase

    def entered(self, old: AuthorityStatus) -> Iterator[tuple[Progress | None, Progress]]:
        """List the phases that a status does not show yet, each with the one before it, where that is known."""
        phase, before = _phase(old), None
        for progress in self.phases:
            if progress.phase != phase:
                yield before, progress
            phase, before = progress.phase, progress


_ROLLED_BACK = frozenset({Phase.WITHDRAWING, Phase.REMOVING})


def _phase(told: AuthorityStatus) -> str:
    rotating = told.condition(ROTATING)
    return rotating.reason if rotating is not None else Phase.STABLE
