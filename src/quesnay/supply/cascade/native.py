"""The compiled days of the cascade: made with the system's C++ compiler at first use, kept for the next time."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import jax
import jax.ffi

from quesnay._errors import SlowEngineWarning

FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp-simd", "-shared", "-fPIC", "-w")
SOURCE = ("kernel.cc", "links.h")
HANDLERS = ("forward", "backward", "finish")


@functools.cache
def available() -> bool:
    """Return whether the compiled days can be called, compiling them if need be; say once why they cannot."""
    off = os.environ.get("QUESNAY_NATIVE") == "0"
    reason = "QUESNAY_NATIVE is 0; unset it for the compiled one" if off else _load()
    if reason is not None:
        warnings.warn(
            f"Firm networks run in pure JAX, several times slower: {reason}.", SlowEngineWarning, stacklevel=2
        )
    return reason is None


def _load() -> str | None:
    """Compile and register; return what is in the way, and what to do."""
    compiler = _compiler()
    if compiler is None:
        return "no C++ compiler was found; install one (g++ or clang++) or name it in CXX"
    try:
        library = ctypes.cdll.LoadLibrary(str(_library(compiler)))
        for name in HANDLERS:
            handler = jax.ffi.pycapsule(getattr(library, f"quesnay_{name}"))
            jax.ffi.register_ffi_target(f"quesnay_{name}", handler, platform="cpu")
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()
        return f"{compiler[0]} could not compile the kernel ({said[-1] if said else 'it said nothing'}); name another in CXX"
    except (OSError, AttributeError) as error:
        return f"the kernel could not be stored or loaded ({error}); set XDG_CACHE_HOME to a folder that can be written"
    return None


def _compiler() -> list[str] | None:
    named = os.environ.get("CXX", "").split()
    for words in ([named] if named else []) + [["c++"], ["g++"], ["clang++"]]:
        found = shutil.which(words[0])
        if found is not None:
            return [found, *words[1:]]
    return None


def _library(compiler: list[str]) -> Path:
    """Return the compiled kernel, from the cache if this machine made it before."""
    source = {name: resources.files("quesnay.supply.cascade").joinpath(name).read_bytes() for name in SOURCE}
    key = hashlib.sha256(repr((source, version("jaxlib"), compiler, FLAGS, _machine())).encode()).hexdigest()[:20]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "quesnay"
    library = cache / f"cascade-{key}.so"
    if not _loads(library):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            for name, text in source.items():
                Path(folder, name).write_bytes(text)
            made = Path(folder, "kernel.so")
            command = [*compiler, *FLAGS, f"-I{jax.ffi.include_dir()}", str(Path(folder, SOURCE[0])), "-o", str(made)]
            subprocess.run(command, check=True, capture_output=True, text=True)
            ctypes.cdll.LoadLibrary(str(made))
            # Several processes may do this at once: whoever is last replaces the same file.
            made.replace(library)
    return library


def _loads(library: Path) -> bool:
    """Say whether there is a library; a file that is none is made again."""
    try:
        ctypes.cdll.LoadLibrary(str(library))
    except OSError:
        return False
    return True


def _machine() -> tuple[str, ...]:
    """Return what the instructions depend on: a home folder may be shared by machines with different processors."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else [platform.node()]
    said = sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}) or [platform.node()]
    return (platform.system(), platform.machine(), *said)
