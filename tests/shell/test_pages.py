"""The pages that people read: their links lead somewhere, and the README stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devtools.commands import rooms

TOP = Path(__file__).parents[2]
PAGES = sorted([*TOP.glob("*.md"), *TOP.glob("docs/**/*.md")])
LONGEST_README = 500
_CODE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _prose(page: Path) -> str:
    return _CODE.sub("", page.read_text())


def _anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings as GitHub makes them."""
    headings = _HEADING.findall(_prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_each_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    """A link within the project names a file that exists, and an anchor names a heading of that page."""
    for link in _LINK.findall(_prose(page)):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_the_readme_stays_short() -> None:
    """The README has at most 500 words, code and tables included."""
    assert LONGEST_README >= len((TOP / "README.md").read_text().split())


def test_the_rooms_are_drawn_as_the_sources_say() -> None:
    """Tables and picture of the rooms are what the sources give; `hack/fix` writes them."""
    for path, text in rooms.texts().items():
        assert text == path.read_text(), path
