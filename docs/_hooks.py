"""Fills the tables of docs/guide/cli.md from the scenario models, so that the page cannot disagree with the program."""

import json
from typing import Any

from quesnay.cli.scenario import schema

MARK = "<!-- scenario keys -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables in place of the mark."""
    return markdown.replace(MARK, keys()) if MARK in markdown else markdown


def keys() -> str:
    """Return one Markdown table per section of the scenario file."""
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
