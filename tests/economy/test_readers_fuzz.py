"""A few hundred broken tables through every reader; `benchmarks/readers_fuzz.py` has ten thousand."""

import pickle
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import quesnay as q
from economy import fuzzing
from economy.fuzzing import READERS, EscapeError, Fuzz, Reader

pytest.importorskip("pymrio")


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Fuzz:
    return Fuzz(tmp_path_factory.mktemp("fuzz"))


@given(name=st.sampled_from(sorted(READERS)), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_broken_tables_are_refused_and_nothing_else_happens(name: str, seed: int, fuzz: Fuzz) -> None:
    fuzz.run(name, seed)


def leaves_a_file(path: Path) -> None:
    path.with_name("new").write_text("new")


def changes_the_table(path: Path) -> None:
    path.write_text("changed")


def unpickles(path: Path) -> None:
    pickle.loads(b"cos\nsystem\n.")


def raises(error: Exception) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (raises(KeyError("x")), "KeyError"),
        (raises(q.TableError("two\nlines")), "more than one line"),
        (leaves_a_file, "open"),
        (changes_the_table, "open"),
        (unpickles, "pickle.find_class"),
        (lambda path: path.with_name("folder").mkdir(), "os.mkdir"),
    ],
)
def test_the_harness_sees_what_a_reader_must_not_do(
    read: Callable[[Path], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(folder: Path) -> Path:
        (folder / "a.txt").write_text("a")
        return folder / "a.txt"

    silent = Reader(write, lambda path: None)
    monkeypatch.setitem(fuzzing.READERS, "bad", silent)
    harness = Fuzz(tmp_path, ("bad",))
    monkeypatch.setitem(fuzzing.READERS, "bad", Reader(write, read))
    with pytest.raises(EscapeError) as caught:
        harness.run("bad", 0)
    assert said in str(caught.value)
