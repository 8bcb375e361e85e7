"""Alerts and dashboard of the chart, judged by promtool: each alert fires for what it is about, queries can be read."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.machine import programs
from mutualtls.metrics.catalogue import CATALOGUE, PREFIX
from support.chart import CHART, IMAGE, Helm

RULES = CHART / "files" / "alerts.yaml"
PAGE = CHART.parents[1] / "docs" / "operations" / "alerts.md"
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}

STEP, LONG, LONGEST = 5, 200, 200 * 60
"""Minutes between two scrapes, of each scene, and of the one about what takes more than a week."""
DAY = 86400
POD = 'namespace="system",job="operator",pod="{}"'
OF = f'{POD.format("a")},authority="default"'
ROOT, ISSUING = (f'{OF},role="{role}",number="1",state="Active"' for role in ("root", "issuing"))

WELL = {
    f"build_info{{{POD.format('a')}}}": "1",
    f"leader{{{POD.format('a')}}}": "1",
    f"leader{{{POD.format('b')}}}": "0",
    f"ready{{{POD.format('a')}}}": "1",
    f"ready{{{POD.format('b')}}}": "1",
    f"clock_skew_seconds{{{POD.format('a')}}}": "-0.5",
    f'watch_last_event_timestamp_seconds{{{POD.format("a")},resource="secrets"}}': "now",
    f'agenda_oldest_seconds{{{POD.format("a")},priority="first"}}': "0",
    f'agenda_oldest_seconds{{{POD.format("a")},priority="reissue"}}': "7200",
    f'reconcile_total{{{POD.format("a")},kind="identity",result="bug"}}': "0",
    f'reconcile_total{{{POD.format("a")},kind="identity",result="failed"}}': "grows",
    f'rejected_writes_total{{{POD.format("a")},resource="secrets",cause="quota"}}': "grows",
    f"certificates_expired{{{OF}}}": "0",
    f"certificates_least_remaining_ratio{{{OF}}}": "0.3",
    f"certificates_overdue{{{OF}}}": "0",
    f'identities{{{OF},ready="True",reason="Issued"}}': "9",
    f'identities{{{OF},ready="False",reason="NotPermitted"}}': "2",
    f"secrets_contested{{{OF}}}": "0",
    f'secrets_mended_total{{{POD.format("a")},reason="KeyMismatch"}}': "0",
    f'secrets_mended_total{{{POD.format("a")},reason="SecretMissing"}}': "grows",
    f'authority_condition{{{OF},type="Ready",status="False"}}': "0",
    f'authority_condition{{{OF},type="Drifted",status="False"}}': "1",
    f'ca_key_available{{{OF},role="root",number="1"}}': "1",
    f"ca_not_before_timestamp_seconds{{{ROOT}}}": str(-300 * DAY),
    f"ca_not_after_timestamp_seconds{{{ROOT}}}": str(3650 * DAY),
    f"ca_not_before_timestamp_seconds{{{ISSUING}}}": str(-300 * DAY),
    f"ca_not_after_timestamp_seconds{{{ISSUING}}}": str(365 * DAY),
    f"rotation_approval_pending{{{OF}}}": "0",
    f"rotation_excused{{{OF}}}": "0",
    f'rotations_total{{{OF},result="forced"}}': "0",
    f'bundle_behind{{{OF},carrier="secret"}}': "0",
    f'additional_root_not_after_timestamp_seconds{{{OF},fingerprint="f"}}': str(365 * DAY),
}
"""Series of an operator that has nothing to say, with a standby."""

SCENES: dict[str, dict[str, str | None]] = {
    "OperatorAbsent": {f"build_info{{{POD.format('a')}}}": None},
    "NoLeader": {f"leader{{{POD.format('a')}}}": "0"},
    "TwoLeaders": {f"leader{{{POD.format('b')}}}": "1"},
    "OperatorNotReady": {f"ready{{{POD.format('b')}}}": "0"},
    "RightsLacking": {f'rejected_writes_total{{{POD.format("a")},resource="secrets",cause="rights"}}': "grows"},
    "ClockSkew": {f"clock_skew_seconds{{{POD.format('a')}}}": "-12"},
    "WatchSilent": {f'watch_last_event_timestamp_seconds{{{POD.format("a")},resource="secrets"}}': "60"},
    "QueueStuck": {f'agenda_oldest_seconds{{{POD.format("a")},priority="first"}}': "61"},
    "ReconcileBug": {f'reconcile_total{{{POD.format("a")},kind="identity",result="bug"}}': "grows"},
    "CertificatesExpired": {f"certificates_expired{{{OF}}}": "1"},
    "CertificateExpiresSoon": {f"certificates_least_remaining_ratio{{{OF}}}": "0.14"},
    "RenewalsOverdue": {f"certificates_overdue{{{OF}}}": "1"},
    "IdentitiesNotReady": {f'identities{{{OF},ready="False",reason="SecretConflict"}}': "1"},
    "SecretsNotWritable": {'secrets_not_writable{namespace="shop",job="operator",pod="a"}': "1"},
    "SecretContested": {f"secrets_contested{{{OF}}}": "1"},
    "SecretsTamperedWith": {f'secrets_mended_total{{{POD.format("a")},reason="KeyMismatch"}}': "grows"},
    "AuthorityNotReady": {f'authority_condition{{{OF},type="Ready",status="False"}}': "1"},
    "CAKeyLost": {f'ca_key_available{{{OF},role="root",number="1"}}': "0"},
    "IssuingCAExpiresSoon": {f"ca_not_after_timestamp_seconds{{{ISSUING}}}": str(9 * DAY)},
    "RootExpiresSoon": {f"ca_not_after_timestamp_seconds{{{ROOT}}}": str(9 * DAY)},
    "RotationStuck": {f"rotation_phase_started_timestamp_seconds{{{OF}}}": "0"},
    "RotationApprovalPending": {f"rotation_approval_pending{{{OF}}}": "1"},
    "LaggardsExcused": {f"rotation_excused{{{OF}}}": "1"},
    "RotationForced": {f'rotations_total{{{OF},result="forced"}}': "grows"},
    "BundleNotDistributed": {f'bundle_behind{{{OF},carrier="secret"}}': "1"},
    "AdditionalRootExpires": {f'additional_root_not_after_timestamp_seconds{{{OF},fingerprint="f"}}': str(30 * DAY)},
}
"""What makes each alert fire, by its name: series in place of those of `WELL`; None: the series is not there."""


def _values(text: str, length: int) -> str:
    """Write the values of a series: the time, one more at each scrape, or always the same."""
    if text in {"now", "grows"}:
        return f"0+{60 * STEP if text == 'now' else 1}x{length // STEP}"
    return f"{text}x{length // STEP}"


def _scene(name: str, changed: dict[str, str | None]) -> dict[str, Any]:
    """Write a scene for promtool, at whose end the alert of a name fires, and no other; with "" none does."""
    length = LONGEST if name == "RotationStuck" else LONG
    series = {of: text for of, text in (WELL | changed).items() if text is not None}
    fires = [{"labels": f'{{alertname="MutualTLS{name}"}}', "value": 1}] if name else []
    return {
        "name": name or "all is well",
        "interval": f"{STEP}m",
        "input_series": [{"series": f"{PREFIX}{of}", "values": _values(text, length)} for of, text in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{length}m",
                "exp_samples": fires,
            }
        ],
    }


def _promtool(*arguments: str, cwd: Path) -> None:
    """Have promtool find nothing.

    Raises:
        AssertionError: it found something; says what.
    """
    done = subprocess.run([programs.promtool(), *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    """Helm without a cluster."""
    return Helm(home=tmp_path)


def _rendered(helm: Helm, **alerts: Any) -> dict[str, Any]:
    """Render the rule, with other values of `alerts`."""
    found = helm.rendered(IMAGE | {"alerts": {"enabled": True} | alerts})
    (rule,) = [one for one in found if one["kind"] == "PrometheusRule"]
    return dict(rule)


def test_each_alert_fires_for_what_it_is_about(tmp_path: Path) -> None:
    """It alone, at the end of hours in which nothing else is wrong; and nothing fires while all is well."""
    assert {name.removeprefix("MutualTLS") for name in ALERTS} == set(SCENES)
    scenes = [_scene("", {}), *(_scene(name, changed) for name, changed in SCENES.items())]
    tests = {"rule_files": [str(RULES)], "evaluation_interval": "10m", "tests": scenes}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests))
    _promtool("test", "rules", "tests.yaml", cwd=tmp_path)


def test_the_chart_ships_the_alerts_as_they_are(helm: Helm, tmp_path: Path) -> None:
    """Without overrides the rule has the same groups, which promtool reads."""
    spec = _rendered(helm)["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec))
    _promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", cwd=tmp_path)

    assert GROUPS == spec["groups"]


def test_an_alert_can_be_changed_or_left_out(helm: Helm) -> None:
    """By its name, of which one that does not exist is refused."""
    overrides = {
        "MutualTLSNoLeader": {"for": "0s", "severity": "page"},
        "MutualTLSQueueStuck": {"enabled": False},
        "MutualTLSRotationStuck": {"expr": "vector(1)"},
    }
    rule = _rendered(
        helm, overrides=overrides, labels={"release": "prometheus"}, alertLabels={"team": "a"}, runbookURL="https://x/a"
    )
    found = {one["alert"]: one for group in rule["spec"]["groups"] for one in group["rules"]}
    changed = found["MutualTLSNoLeader"]

    assert ("0s", {"severity": "page", "team": "a"}) == (changed["for"], changed["labels"])
    assert "https://x/a#mutualtlsnoleader" == changed["annotations"]["runbook_url"]
    assert set(ALERTS) - {"MutualTLSQueueStuck"} == set(found)
    assert "vector(1)" == found["MutualTLSRotationStuck"]["expr"]
    assert "prometheus" == rule["metadata"]["labels"]["release"]
    wrong = IMAGE | {"alerts": {"enabled": True, "overrides": {"NoLeader": {}}}}
    said = helm.run("template", "x", str(CHART), values=wrong, check=False)
    assert "alerts.overrides.NoLeader: there is no alert of that name" in said


def test_the_dashboard_asks_for_metrics_that_there_are(helm: Helm, tmp_path: Path) -> None:
    """Prometheus reads each of its queries, and the catalogue or the process has each metric."""
    values = IMAGE | {"dashboard": {"enabled": True, "labels": {"find": "me"}}}
    (config_map,) = [one for one in helm.rendered(values) if one["kind"] == "ConfigMap"]
    dashboard = json.loads(config_map["data"]["mutualtls-operator.json"])
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(rf"\b{PREFIX}(\w+)", query)}
    read = [query.replace("$__rate_interval", "5m") for query in queries]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(read)]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    _promtool("check", "rules", "queries.yaml", cwd=tmp_path)

    assert "me" == config_map["metadata"]["labels"]["find"]
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in asked} <= set(CATALOGUE)
    assert len(dashboard["panels"]) == len({panel["title"] for panel in dashboard["panels"]})


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_is_of_metrics_that_there_are_and_has_a_runbook(name: str) -> None:
    """The catalogue has every metric that it asks for, and the page a section under its name."""
    asked = set(re.findall(rf"\b{PREFIX}(\w+)", ALERTS[name]["expr"]))

    assert asked
    assert asked <= set(CATALOGUE)
    assert f"\n## {name}\n" in PAGE.read_text()
