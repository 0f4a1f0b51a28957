"""One sentence for a validation error: the key, the value given, and what is allowed."""

import difflib
import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

Schema = dict[str, Any]


def sentence(error: ValidationError, data: dict[str, Any], schema: Schema) -> str:
    """Return the first error as a sentence, and how many more there are; what is missing comes last, for it may be misspelt."""
    first, *rest = sorted(error.errors(include_url=False), key=lambda each: each["type"] == "missing")
    text = _first(first, data, schema)
    more = f" (and {len(rest)} more)" if rest else ""
    return text + more + ("" if text.endswith("?") and not more else ".")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return what to write instead of an unknown name: the nearest known ones, or all of them if they are few."""
    known = list(known)
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    lower = {other.lower(): other for other in known}
    if name.lower() in lower:
        matches = [lower[name.lower()]]
    if matches:
        return f"did you mean {quoted(matches[0])}?"
    shown = ", ".join(quoted(other) for other in known[:12])
    return f"choose from {shown}" + (f" and {len(known) - 12} more" if len(known) > 12 else "")


def quoted(value: object) -> str:
    """Return a value as TOML shows it, shortened."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except TypeError:  # a TOML date or time
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _first(error: Any, data: dict[str, Any], schema: Schema) -> str:
    location, kind, given = error["loc"], error["type"], error["input"]
    key = _key(location, data)
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        section = _at(schema, location[:-1])
        name = str(location[-1])
        return f"unknown key {key}; {nearest(name, section.get('properties', {}))}"
    if kind == "missing":
        return f"{key} is missing; expected: {_at(schema, location).get('description', 'key')}"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        node = _at(schema, location)
        own, tags = _tag(node), ", ".join(_tags(node))
        if not isinstance(given, dict) or own not in given:
            return f"{key}.{own} is missing; choose from {tags}"
        return f"{key}.{own} = {quoted(given[own])} is not allowed; choose from {tags}"
    if kind == "value_error":
        return f"{key}: {context['error']}" if key else str(context["error"])
    allowed = _at(schema, location).get("description") or _at(schema, location[:-1]).get("description", "another value")
    return f"{key} = {quoted(given)} is not allowed; expected: {allowed}"


def _key(location: tuple[str | int, ...], data: Any) -> str:
    """Return the path of a key as the file's author sees it: lists count from 1, and the tag of a union is no key."""
    text = ""
    for k, part in enumerate(location):
        if isinstance(part, int):
            text += f" #{part + 1}"
        elif data is not None and _is_tag(part, data, last=k + 1 == len(location)):
            continue
        else:
            text += f".{part}" if text else part
        try:
            data = None if data is None else data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return text


def _at(schema: Schema, location: tuple[str | int, ...]) -> Schema:
    """Return the part of a JSON schema that describes a location; descriptions beside a reference win over its target's."""
    node = schema
    for part in location:
        node = _resolve(node, schema)
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in node.get("properties", {}):
            node = node["properties"][part]
        elif "discriminator" in node:
            node = {"$ref": node["discriminator"]["mapping"].get(part, "#")}
        elif "oneOf" in node:  # a list or a table: the tag is the JSON type
            node = next(own for own in node["oneOf"] if _resolve(own, schema).get("type") == part) | _said(node)
        else:  # any name, as in a table of numbers by sector
            node = node.get("additionalProperties") or {"$ref": "#"}
    return _resolve(node, schema)


def _said(node: Schema) -> Schema:
    return {key: node[key] for key in ("description",) if key in node}


def _resolve(node: Schema, root: Schema) -> Schema:
    """Follow references and step into the first alternative of an optional value."""
    seen = dict(node)
    while "$ref" in node or "anyOf" in node:
        node = node["anyOf"][0] if "anyOf" in node else root["$defs"].get(node["$ref"].rsplit("/", 1)[-1], {})
        seen = node | {k: v for k, v in seen.items() if k not in ("$ref", "anyOf")}
    return seen


def _is_tag(part: str, data: Any, *, last: bool) -> bool:
    """Say whether a part of a location is no key of the file but pydantic's name of one of several alternatives."""
    if not isinstance(data, dict):
        return True
    return part not in data and (not last or part in (data.get("kind"), data.get("curve"), "object"))


def _tag(node: Schema) -> str:
    """Return the key that says which of several sections one is."""
    return node.get("discriminator", {}).get("propertyName", "kind")


def _tags(node: Schema) -> list[str]:
    return [quoted(tag) for tag in node.get("discriminator", {}).get("mapping", {})]
