"""The schema and the packaged scenario files agree with the models."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from quesnay.cli import scenario
from quesnay.cli.scenario import Scenario, read, schema

TEMPLATE = Path(scenario.__file__).with_name("template.toml")

FILES = [TEMPLATE, TEMPLATE.with_name("demo.toml")]


def test_schema_is_printed_and_is_a_json_schema(quesnay):
    done = quesnay("schema")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == schema()
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_packaged_scenarios_fit_the_models_and_the_schema(path):
    read(path)
    jsonschema.validate(tomllib.loads(path.read_text(encoding="utf-8")), schema())


def test_every_key_is_described():
    for section in [schema(), *schema()["$defs"].values()]:
        for key, node in section["properties"].items():
            assert "description" in node or "const" in node, key


def test_the_template_explains_every_key():
    text = TEMPLATE.read_text(encoding="utf-8")
    for section in [schema(), *schema()["$defs"].values()]:
        for key in section["properties"]:
            assert key in text


def test_a_default_in_a_comment_of_the_template_is_the_default():
    text = TEMPLATE.read_text(encoding="utf-8")
    assert f"# days_per_year = {Scenario.model_fields['model'].default.days_per_year}" in text
    assert f"# seed = {Scenario.model_fields['run'].default.seed}" in text
