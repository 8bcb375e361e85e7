"""The command behind hack/image."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from devtools.machine import images, programs

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    archive: Annotated[Path, typer.Argument(help="File to write it to, for `docker load` or `ctr image import`.")],
) -> None:
    """Build the operator's image from this tree, on a base of Debian, without a registry and without Docker.

    It takes root, buildah and mmdebstrap. Two builds of one tree have the same digest.
    """
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=images.TOP, capture_output=True, text=True, check=False)
    try:
        with tempfile.TemporaryDirectory(prefix="mutualtls-image.") as store:
            image = images.build(Path(store), revision=revision.stdout.strip())
            image.export(archive.absolute())
    except programs.BuildError as error:
        typer.echo(f"hack/image: {error}", err=True)
        raise typer.Exit(code=1) from None
    typer.echo(f"{archive}: {images.NAME}, {image.digest}, {archive.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    app()
