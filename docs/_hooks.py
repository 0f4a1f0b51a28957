"""Fills the tables of docs/guide/cli.md from the scenario models, so that the page cannot disagree with the program."""

import json
from typing import Any

from quesnay.cli.optimise_scenario import OptimiseScenario
from quesnay.cli.scenario import schema
from quesnay.cli.stress_scenario import StressScenario

MARK, STRESS_MARK, OPTIMISE_MARK = "<!-- scenario keys -->", "<!-- stress keys -->", "<!-- optimise keys -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables in place of the marks."""
    for mark, tables in ((MARK, keys), (STRESS_MARK, stress_keys), (OPTIMISE_MARK, optimise_keys)):
        markdown = markdown.replace(mark, tables()) if mark in markdown else markdown
    return markdown


def keys() -> str:
    """Return one Markdown table per section of the scenario file of a shock."""
    root = schema()
    parts = root["$defs"]
    plain = {key: node for key, node in root["properties"].items() if "title" in node}
    sections = {
        "At the top": root | {"properties": {k: v for k, v in plain.items() if k != "shock"}},
        "`[economy]`": parts["EconomySection"],
        "`[model]`": parts["ModelSection"],
        "`[[shock]]`": parts["CapacityLossSection"],
        '`[shock.recovery]` with `kind = "exponential"`': parts["ExponentialRecovery"],
        '`[shock.recovery]` with `kind = "linear"`': parts["LinearRecovery"],
        '`[shock.recovery]` with `kind = "tabulated"`': parts["TabulatedRecovery"],
        "`[run]`": parts["RunSection"],
        "`[report]`": parts["ReportSection"],
        "`[calibrate]`": parts["CalibrateSection"],
        "`[[calibrate.parameter]]`": parts["ParameterSection"],
    }
    return _tables(sections)


def stress_keys() -> str:
    """Return one Markdown table per section of the scenario file of a stress test under warming."""
    root = schema(StressScenario)
    parts = root["$defs"]
    plain = {key: node for key, node in root["properties"].items() if "title" in node}
    curves = {
        node["properties"]["curve"]["const"]: node for node in parts.values() if "curve" in node.get("properties", {})
    }
    sections = {
        "At the top of a stress test": root | {"properties": {k: v for k, v in plain.items() if k != "damage"}},
        "`[economy]` of a stress test": parts["EconomySection"],
        "`[stress]`": parts["StressSection"],
        "`temperatures` as a range": parts["TemperatureRange"],
        **{f'`[damage]` with `curve = "{name}"`': node for name, node in curves.items()},
        "`[vulnerability]`": parts["VulnerabilitySection"],
        "`[match]`": parts["MatchSection"],
        "`[uncertainty]`": parts["UncertaintySection"],
        "`[report]` of a stress test": parts["ReportSection"],
    }
    return _tables(sections)


def optimise_keys() -> str:
    """Return one Markdown table per section of the scenario file of a trade-off."""
    root = schema(OptimiseScenario)
    parts = root["$defs"]
    sections = {
        "At the top of a trade-off": root
        | {"properties": {key: node for key, node in root["properties"].items() if "title" in node}},
        "`[economy]` of a trade-off": parts["EconomySection"],
        "`[optimise]`": parts["OptimiseSection"],
        "`budgets` as a range": parts["BudgetRange"],
        "`penalties` as a range": parts["PenaltyRange"],
        "`[optimise.lowers]` and `[optimise.uppers]`": parts["BoundsSection"],
        "`[report]` of a trade-off": parts["ReportSection"],
    }
    return _tables(sections)


def _tables(sections: dict[str, dict[str, Any]]) -> str:
    return "\n\n".join(f"### {title}\n\n{_table(section)}" for title, section in sections.items())


def _table(section: dict[str, Any]) -> str:
    rows = ["| key | meaning | if left out |", "|---|---|---|"]
    required = section.get("required", [])
    for key, node in section["properties"].items():
        meaning = node.get("description") or f'"{node.get("const", "")}"'
        default = "an error" if key in required else _shown(node.get("default"))
        rows.append(f"| `{key}` | {meaning} | {default} |")
    return "\n".join(rows)


def _shown(value: Any) -> str:
    return "-" if value in (None, "") else f"`{json.dumps(value)}`"
