"""Each metric is documented and named as Prometheus wants it; rules and dashboard use no other."""

import json
import re
from pathlib import Path
from typing import Any, Final

from prometheus_client.metrics_core import Metric

from registrar.metrics import Metrics

ROOT: Final = Path(__file__).parent.parent
PLACE: Final = ROOT / "deploy" / "prometheus"
NAME: Final = re.compile(r"\bregistrar_[a-z0-9_]+")
PARTS: Final = ("_bucket", "_sum", "_count")
UNITS: Final = ("milliseconds", "ms", "minutes", "hours", "days", "kilobytes", "percent", "micro")
"""Words for units that are no base units."""


def families() -> list[Metric]:
    metrics = Metrics()
    metrics.certificate(lambda: 1.0)
    return list(metrics.registry.collect())


def shown(family: Metric) -> str:
    """Its name in the exposition."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def series() -> set[str]:
    """Every name that a query may have."""
    found = families()
    return {shown(family) for family in found} | {
        family.name + part for family in found if family.type == "histogram" for part in PARTS
    }


def text(name: str) -> str:
    return (PLACE / name).read_text()


def test_all_have_one_prefix_and_a_help_and_base_units() -> None:
    for family in families():
        assert NAME.fullmatch(family.name), family.name
        assert family.documentation, family.name
        assert not set(UNITS) & set(family.name.split("_")), family.name
        assert not family.name.endswith(("_gauge", "_counter", "_histogram", "_info_total")), family.name
        assert ("seconds" in family.name) or family.type != "histogram", family.name


def test_every_metric_is_documented_and_no_other() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| (`registrar_[^|]+`) \|", page, re.MULTILINE)
    named = [name for row in rows for name in NAME.findall(row)]
    assert sorted(named) == sorted(shown(family) for family in families())


def test_the_rules_use_metrics_that_exist() -> None:
    used = set(NAME.findall(text("rules.yaml")))
    assert len(used) > 20
    assert used - series() == set()


def test_the_tests_of_the_rules_use_metrics_that_exist() -> None:
    assert set(NAME.findall(text("rules_test.yaml"))) - series() == set()


def test_every_rule_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    rules = re.findall(r"- alert: (\w+)", text("rules.yaml"))
    tested = re.findall(r"- name: (\w+ .+)", text("rules_test.yaml"))
    assert sorted(tested) == sorted(f"{rule} {how}" for rule in rules for how in ("fires", "is quiet"))


def test_every_rule_says_what_to_do() -> None:
    rules = text("rules.yaml").split("- alert: ")[1:]
    for rule in rules:
        assert re.search(r"severity: (warning|critical)\n", rule), rule
        assert re.search(r"summary: '.+'\n +description: >-\n +\S", rule), rule


def queries(panels: list[dict[str, Any]]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_the_dashboard_uses_metrics_that_exist_and_shows_most_of_them() -> None:
    board = json.loads(text("dashboard.json"))
    used = set(NAME.findall("\n".join(queries(board["panels"]))))
    assert used - series() == set()
    bases = {name.removesuffix(part) for name in used for part in PARTS} & {shown(f) for f in families()}
    assert len(bases) >= 40
    variable = next(item for item in board["templating"]["list"] if item["name"] == "instance")
    assert set(NAME.findall(variable["query"])) <= series()


def test_no_panel_of_the_dashboard_covers_another() -> None:
    board = json.loads(text("dashboard.json"))
    taken: dict[tuple[int, int], str] = {}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), panel["title"])
                assert other == panel["title"], f"{panel['title']} covers {other}"
