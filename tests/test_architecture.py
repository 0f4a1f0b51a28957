"""The shape of the code: what DESIGN promises about modules, classes, names and imports, checked on the code itself."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import textwrap
from pathlib import Path

import equinox as eqx
import pytest

import quesnay

SOURCE = Path(quesnay.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
HEAVY = ["jax", "numpy", "pandas", "xarray", "pymrio", "plotly", "typer", "rich", "pydantic", "matplotlib"]


def modules() -> list[object]:
    names = [m.name for m in pkgutil.walk_packages([str(SOURCE)], "quesnay.") if not m.name.endswith("__main__")]
    return [importlib.import_module(name) for name in names]


def own_modules_classes() -> list[type]:
    found = {
        cls
        for module in modules()
        for cls in vars(module).values()
        if inspect.isclass(cls) and issubclass(cls, eqx.Module) and cls.__module__.startswith("quesnay")
    }
    return sorted(found, key=lambda cls: (cls.__module__, cls.__qualname__))


def is_abstract(cls: type) -> bool:
    names = ("__abstractmethods__", "__abstractvars__", "__abstractclassvars__")
    return any(getattr(cls, name, None) for name in names)


def bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__[1:] if issubclass(base, eqx.Module) and base is not eqx.Module]


def overridden_concrete_methods(cls: type) -> list[str]:
    """Methods written in the class's own body that replace a base's finished method."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    own = {n.name for n in body.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)} - {"__init__"}
    return [
        f"{base.__name__}.{name}"
        for base in bases(cls)
        for name in own & vars(base).keys()
        if not getattr(vars(base)[name], "__isabstractmethod__", False)
    ]


CLASSES = own_modules_classes()


def test_there_are_modules_to_check():
    assert len(CLASSES) > 10
    assert len(FILES) > 20


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__qualname__)
def test_every_module_is_abstract_or_final(cls):
    concrete = [base.__name__ for base in bases(cls) if not is_abstract(base)]
    assert not concrete, f"{cls.__name__} inherits from finished classes {concrete}"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__qualname__)
def test_no_finished_method_is_overridden(cls):
    assert not overridden_concrete_methods(cls)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_files_have_at_most_400_lines(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("name", quesnay.__all__)
def test_public_names_exist_and_are_documented(name):
    thing = getattr(quesnay, name)
    text = inspect.getdoc(thing) or ""
    assert len(text.split()) >= 3
    assert not text.startswith(f"{name}("), "a docstring of its own, not a generated signature"
    if inspect.isclass(thing):
        undocumented = [
            key
            for key, value in vars(thing).items()
            if not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
            if not inspect.getdoc(getattr(thing, key))
        ]
        assert not undocumented


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_every_module_says_what_it_is(file):
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


def loaded_after(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after running the code."""
    probe = f"{code}\nimport sys; sys.stderr.write('\\n' + ' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stderr.rsplit("\n", 1)[-1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], ["run", "--help"]])
def test_help_and_version_load_nothing_heavy(arguments):
    code = f"import sys; sys.argv = {['quesnay', *arguments]!r}\nfrom quesnay._main import main; main()"
    assert loaded_after(code) == set()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import quesnay; quesnay.__version__; quesnay.InputError") == set()


def test_models_load_no_labels():
    loaded = loaded_after("import quesnay as q; q.Network; q.SupplyModel; q.Leontief; q.simulate; q.solve")
    assert "jax" in loaded
    assert loaded.isdisjoint({"pandas", "xarray", "pymrio", "plotly"})


def dtype_after(code: str, value: str | None) -> str:
    import os

    environment = {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
    if value is not None:
        environment["JAX_ENABLE_X64"] = value
    probe = f"{code}\nprint(jax.numpy.zeros(1).dtype)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


@pytest.mark.parametrize("code", ["import quesnay, jax", "import jax, quesnay"])
@pytest.mark.parametrize(("value", "dtype"), [(None, "float64"), ("0", "float32"), ("1", "float64")])
def test_importing_enables_64_bits_unless_told_otherwise(code, value, dtype):
    assert dtype_after(code, value) == dtype


def test_the_version_is_said_once():
    import importlib.metadata

    assert importlib.metadata.version("quesnay") == quesnay.__version__
