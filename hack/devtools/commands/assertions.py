"""The command behind hack/assertions: which assertions of the tests differ from those of another commit.

A change that only moves or renames things leaves every assertion as it was. Modules in front of names do not count, as
moving changes them; names and strings that were renamed on purpose are given as a table.
"""

from __future__ import annotations

import ast
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

ROOT = Path(__file__).parents[3]

console = Console(highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    base: Annotated[str, typer.Argument(help="The commit to compare with.")],
    renamed: Annotated[
        Path | None, typer.Option(help="A file of renamed names and texts, a line each: before, a tab, after.")
    ] = None,
) -> None:
    """List the assertions that are gone and those that came, by the tests that they are in. Exit with 1 if any went."""
    table = [line.split("\t") for line in renamed.read_text().splitlines() if line] if renamed else []
    before = _replaced(_assertions(_files_of(base)), table)
    after = _replaced(_assertions(_files_here()), table)
    gone, new = before - after, after - before
    for title, found in (("gone", gone), ("new", new)):
        for (test, text), number in sorted(found.items()):
            console.print(
                f"{title}: {test}: {text}" + (f" ({number} times)" if number > 1 else ""), markup=False, soft_wrap=True
            )
    console.print(f"{before.total()} assertions before, {after.total()} now: {gone.total()} gone, {new.total()} new")
    raise typer.Exit(code=1 if gone else 0)


def _files_of(commit: str) -> Iterator[str]:
    """Read the tests of a commit."""
    listed = _git("ls-tree", "-r", "--name-only", commit, "tests").split("\n")
    yield from (_git("show", f"{commit}:{path}") for path in listed if path.endswith(".py"))


def _files_here() -> Iterator[str]:
    yield from (path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def _assertions(files: Iterator[str]) -> Counter[tuple[str, str]]:
    """Count assertions, and what is expected to be raised, by the function that they are in and their text."""
    found: Counter[tuple[str, str]] = Counter()
    for text in files:
        tree = ast.parse(text)
        plain = _WithoutModules(_modules(tree))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found.update((function.name, ast.unparse(plain.visit(one))) for one in _judging(function))
    return found


def _judging(function: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises"):
            yield node


def _modules(tree: ast.Module) -> set[str]:
    """List the names under which modules are imported, which by our habit are in lower case."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.asname or alias.name for node in imports for alias in node.names}
    return {name for name in names if name.islower()}


class _WithoutModules(ast.NodeTransformer):
    """Takes modules off in front of names."""

    def __init__(self, modules: set[str]) -> None:
        self._modules = modules

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:
            return ast.Name(id=node.attr, ctx=node.ctx)
        return self.generic_visit(node)


def _replaced(found: Counter[tuple[str, str]], table: list[list[str]]) -> Counter[tuple[str, str]]:
    """Write what was renamed as it is called now, so that texts of both sides meet."""
    replaced: Counter[tuple[str, str]] = Counter()
    for (test, text), number in found.items():
        for old, new in table:
            test, text = test.replace(old, new), text.replace(old, new)  # noqa: PLW2901 - one after the other
        replaced[test, text] += number
    return replaced


if __name__ == "__main__":
    app()
