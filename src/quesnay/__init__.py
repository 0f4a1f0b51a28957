"""Differentiable economies: one labelled table in; equilibria, shocks, policies and posteriors out, with exact gradients.

Importing quesnay enables 64-bit JAX; an explicit `JAX_ENABLE_X64` in the environment is respected.
"""

import os
import sys

import lazy_loader

if "JAX_ENABLE_X64" not in os.environ:
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", True)
    else:
        os.environ["JAX_ENABLE_X64"] = "1"

__version__ = "0.1.0"

# The public names are those of __init__.pyi; each is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
