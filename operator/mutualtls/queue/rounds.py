"""Which thing is next: namespaces take turns, each with what it has in order of arrival, and so much of it at once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Container, Hashable, Iterator
from datetime import datetime
from typing import Generic, TypeVar

Thing = TypeVar("Thing", bound=Hashable)


class Rounds(Generic[Thing]):
    """What waits. Whoever has had a turn goes to the end, so that nobody waits for more than one turn of each other.

    Every step takes the same time, however much waits. Nothing is kept of who has nothing waiting.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, OrderedDict[Thing, None]] = OrderedDict()

    def add(self, whose: str, thing: Thing) -> None:
        """Put a thing at the end of what waits of its owner; leave it where it is if it waits already."""
        self._waiting.setdefault(whose, OrderedDict()).setdefault(thing)

    def discard(self, whose: str, thing: Thing) -> None:
        """Take a thing out, whether or not it waits."""
        line = self._waiting.get(whose)
        if line is None:
            return
        line.pop(thing, None)
        if not line:
            del self._waiting[whose]

    def take(self, *, but_of: Container[str] = ()) -> Thing | None:
        """Take the thing whose turn it is, passing over those of some; None where nothing waits of anybody else."""
        whose = next((one for one in self._waiting if one not in but_of), None)
        if whose is None:
            return None
        line = self._waiting[whose]
        thing, _ = line.popitem(last=False)
        if line:
            self._waiting.move_to_end(whose)
        else:
            del self._waiting[whose]
        return thing

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Thing]:
        return (thing for line in self._waiting.values() for thing in line)


class AtWork(Generic[Thing]):
    """What is being worked on: at most so many things of one owner at once, however many of nobody's ("")."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._due: dict[Thing, datetime] = {}
        self._numbers: Counter[str] = Counter()
        self.full: set[str] = set()
        """Owners that have as many things at work as they may."""

    def begin(self, whose: str, thing: Thing, *, due: datetime) -> None:
        """Take in that work on a thing begins, and since when it was due."""
        self._due[thing] = due
        if whose:
            self._numbers[whose] += 1
            if self._numbers[whose] >= self._most:
                self.full.add(whose)

    def end(self, whose: str, thing: Thing) -> bool:
        """Take in that work on a thing ends, if it was at work. Tell whether its owner may have another at work."""
        if thing not in self._due:
            return False
        del self._due[thing]
        if whose:
            self._numbers[whose] -= 1
            if not self._numbers[whose]:
                del self._numbers[whose]
            self.full.discard(whose)
        return bool(whose)

    def due_since(self, thing: Thing) -> datetime | None:
        """Tell since when a thing was due that is at work; None for another."""
        return self._due.get(thing)

    def __contains__(self, thing: object) -> bool:
        return thing in self._due

    def __len__(self) -> int:
        return len(self._due)

    @property
    def held(self) -> int:
        """How many things are kept, of whatever kind."""
        return len(self._due) + len(self._numbers)
