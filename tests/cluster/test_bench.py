"""The benchmark: that it runs, that all contenders finish, and that the floor of our API is one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

IDENTITIES = 20
ISSUANCE = {"secrets POST": IDENTITIES, "mutualtlsidentities/status PATCH": IDENTITIES}


@pytest.mark.further
@pytest.mark.long
def test_the_floor_of_our_api_makes_the_writes_of_the_operator(tmp_path: Path) -> None:
    """Both are measured by hack/bench, in one run with the floor of any API, each on a cluster of its own."""
    file, picture = tmp_path / "figures.json", tmp_path / "figures.svg"
    options = ["--rounds", "1", "--scenario", "wave", "--scenario", "restart"]
    command = [sys.executable, "-m", "devtools.bench.bench", str(IDENTITIES), *options]
    subprocess.run([*command, "--json", str(file), "--picture", str(picture)], check=True)
    rows = {(row["scenario"], row["controller"]): row["median"] for row in json.loads(file.read_text())}
    ours = {name: number for name, number in rows["wave", "ours"]["writes"].items() if "configmaps" not in name}

    waves = {("wave", name) for name in ("ours", "floor", "tracked floor", "our API")}
    assert waves | {("restart", "ours")} == set(rows)
    assert ISSUANCE == ours == rows["wave", "our API"]["writes"]
    of_any_api = {"secrets POST": IDENTITIES, "notes/status PATCH": IDENTITIES}
    assert of_any_api == rows["wave", "floor"]["writes"] == rows["wave", "tracked floor"]["writes"]
    restarted = rows["restart", "ours"]["writes"]
    assert 1 >= restarted.pop("events POST", 0), "an Event says that the operator leads, perhaps only later"
    assert {"secrets POST": 1, "mutualtlsidentities/status PATCH": 1} == restarted
    assert "our API" in picture.read_text()
