"""Where the kernel cannot be compiled or kept, firm networks run in pure JAX and say why, in one sentence."""

import pytest

import quesnay as q
from quesnay.supply.cascade import native


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache, and no name for a compiler."""
    monkeypatch.delenv("QUESNAY_NATIVE", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return monkeypatch


def refused(match):
    with pytest.warns(q.SlowEngineWarning, match=match) as said:
        assert native.available.__wrapped__() is False
    text = str(said[0].message)
    assert text.endswith(".")
    assert ". " not in text, "one sentence"


def test_turned_off(fresh):
    fresh.setenv("QUESNAY_NATIVE", "0")
    refused("QUESNAY_NATIVE is 0; unset it")


def test_no_compiler(fresh, tmp_path):
    fresh.setenv("PATH", str(tmp_path))
    refused("no C.. compiler was found; install one")


def test_a_compiler_that_fails_leaves_nothing_in_the_cache(fresh, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no such target >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    fresh.setenv("CXX", str(broken))
    refused("could not compile the kernel .no such target.; name another in CXX")
    assert list((tmp_path / "cache" / "quesnay").iterdir()) == []


def test_a_compiler_that_makes_nonsense(fresh, tmp_path):
    broken = tmp_path / "nonsense"
    broken.write_text('#!/bin/sh\nfor last; do :; done\necho nonsense > "$last"\n', encoding="utf-8")
    broken.chmod(0o755)
    fresh.setenv("CXX", str(broken))
    refused("could not be stored or loaded")
    assert list((tmp_path / "cache" / "quesnay").iterdir()) == []


def test_a_cache_that_cannot_be_written(fresh, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    if native._compiler() is None:
        pytest.skip("no C++ compiler")
    refused("could not be stored or loaded .*set XDG_CACHE_HOME")


def test_a_file_in_the_cache_that_is_no_library_is_made_again(monkeypatch, tmp_path):
    compiler = native._compiler()
    if compiler is None or not native.available():
        pytest.skip("no C++ compiler")
    # A compiler that hands out what the real one made: making it takes long.
    made = native._library(compiler)
    copier = tmp_path / "copier"
    copier.write_text(f'#!/bin/sh\nfor last; do :; done\ncp "{made}" "$last"\n', encoding="utf-8")
    copier.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library = native._library([str(copier)])
    assert library.read_bytes() == made.read_bytes()
    # A library in use must not be written over in place: it is mapped.
    other = library.with_name("other.so")
    other.write_text("nothing", encoding="utf-8")
    other.replace(library)
    assert native._library([str(copier)]) == library
    assert library.read_bytes() == made.read_bytes()
    assert [each.name for each in library.parent.iterdir()] == [library.name]
