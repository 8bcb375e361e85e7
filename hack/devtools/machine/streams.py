"""Watches as a bare program reads them: line by line."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp

_LONGEST_LINE = 4 * 1024 * 1024


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Split a stream into lines of any length; aiohttp's own way fails beyond 128 KiB.

    Raises:
        ValueError: one is longer than any object.
    """
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in filter(None, whole):
            yield line
        if len(rest) > _LONGEST_LINE:
            raise ValueError("a line of a watch is longer than any object")
