"""The README's examples run as written, one after the other, and give what `quesnay demo` prints."""

import json
import re
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_python_examples_give_the_numbers_of_the_demo(quesnay, tmp_path, capfd):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    capfd.readouterr()
    exec("\n".join(blocks), {})
    change, currency, *verdict = capfd.readouterr().out.split(maxsplit=2)
    total = json.loads(quesnay("demo", "--out", tmp_path / "out", "--json").out)["totals"]["value added"]
    # The change is a difference of sums as large as the base, and is known to the rounding of those.
    assert float(change) == pytest.approx(total["change"], rel=0, abs=16 * sys.float_info.epsilon * total["base"])
    assert currency == total["unit"]
    assert "no bias seen" in verdict[0]


def test_the_commands_of_the_readme_exist():
    from quesnay.cli.app import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    used = set(re.findall(r"^\$ (?:.*&& )?quesnay (\w+)", README.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert used == known
