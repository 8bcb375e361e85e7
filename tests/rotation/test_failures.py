"""Ways in which the replacing of CAs failed elsewhere, as far as they need a cluster: none of them happens here.

Of the twelve that were found in reports of others:

1 a bundle lost the old CA to racing writers: below; 2 a crash between two steps: `test_kills`; 3 trust was taken away
before its certificates had gone: `test_root`, under AfterExpiry, and each run by its history; 4 files that come late:
every run; 5 a program that never reads its files again: below; 6 a job that ran again made the CA anew: below;
7 nobody rotated until the end: the core's, as no root lives for less than an hour; 8 a certificate longer than the
rest of its CA: the core's; 9 an outside CA with a part missing: `cluster/test_rotation`; 10 a CA that has ended keeps
away what would replace it: below; 11 a stolen key that one replica did not hear of: below, with 1; 12 a bundle
that changes before the files that go with it: every run, as `ca.crt` and `tls.crt` come in one write.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from devtools.clusters.operators import Operator, wait_until
from support import outside, runs
from support.scenes import Scene


def test_1_an_operator_that_takes_over_in_the_middle_spoils_nothing(scene: Scene, tmp_path: Path) -> None:
    """A standby leads from the moment at which the first operator is stopped, while a root is being replaced."""
    log = tmp_path / "second.log"
    second = Operator(cluster=scene.cluster, log=log, kubeconfig=scene.proxy.kubeconfig, name="second")
    with runs.running(scene, tmp_path) as run:
        second.start()
        try:
            wait_until(lambda: second.logged("operator runs"), "the second operator runs")
            run.rotate()
            scene.operator.stop()
            run.wait_replaced()
            run.judge()
            run.authority.order("compromised", run.authority.fingerprint("root 2"))
            run.wait_replaced(root=3)
            run.judge()
        finally:
            second.stop()
            scene.begin()


@pytest.mark.further
def test_5_a_program_that_never_reads_its_files_again_fails_alone(scene: Scene, tmp_path: Path) -> None:
    """It is outside of the promise. What talks to it fails with it, and nothing else."""
    with runs.running(scene, tmp_path) as run:
        run.join("deaf", delay_s=3600)
        run.rotate()
        run.wait_replaced()
        wait_until(run.fleet.failures, "its handshakes fail")

        run.but |= {"deaf": 0.0}
        run.judge()


def test_6_an_authority_that_is_made_again_in_the_middle_goes_on(scene: Scene, tmp_path: Path) -> None:
    """Its CAs, its ledger and how far it was are not its own: they stay."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        run.approve("Signing")
        run.wait_issued_under("root 2")
        run.world.delete("mtlsca", run.authority.name)
        run.change_rotation(approval="Automatic")
        run.wait_replaced()
        run.judge()


@pytest.mark.further
@pytest.mark.long
def test_10_an_outside_ca_that_has_ended_is_replaced_by_another(scene: Scene, tmp_path: Path) -> None:
    """Nothing could be signed meanwhile; nobody has to delete anything."""
    first, second = outside.make("first", life=timedelta(seconds=40)), outside.make("second")
    with runs.running(scene, tmp_path, source=first) as run:
        run.excuse(*runs.FEW)
        wait_until(lambda: run.authority.condition("Ready").get("status") == "False", "it has ended", deadline_s=90)
        run.authority.swap_source(second.files())
        run.wait_replaced(deadline_s=120)
        run.world.wait_ready(*runs.FEW)
        run.judge()
        run.expect_no_more_failures()
