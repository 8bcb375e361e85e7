"""Who is next: namespaces take turns, each with what it has in order of arrival. What waits is found by whose it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Hashable, Iterator
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
