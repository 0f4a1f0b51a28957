"""How the tests call the command line: in this process, or as a program of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest

from quesnay.cli import output

TEMPLATE = Path(output.__file__).with_name("template.toml")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def quesnay(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""
    from quesnay.cli.app import app, failures

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_, failures():
            app([str(argument) for argument in arguments], prog_name="quesnay")
        return Done(exit_.value.code or 0, *capfd.readouterr())  # type: ignore[arg-type]

    return run


@pytest.fixture
def program(tmp_path: Path) -> Command:
    """Run a command as a program of its own, with the folder of compiled programs that all tests share."""
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir)}

    def run(*arguments: object, **environment: str | None) -> Done:
        changes = {"XDG_CACHE_HOME": str(tmp_path / "cache"), **compiled, **environment}
        variables = {name: value for name, value in (os.environ | changes).items() if value is not None}
        command = [sys.executable, "-m", "quesnay._main", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., Path]:
    """Write a scenario file: the template with pieces of its text replaced."""

    def write(*replaced: tuple[str, str]) -> Path:
        text = TEMPLATE.read_text(encoding="utf-8")
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "my.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
