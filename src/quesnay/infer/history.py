"""How a search went: its losses and parameters, and their plot."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from .prior import Prior

SHOWN = 8
"""Entries of parameters in a plot."""
BLOCKS = 40
"""Parts of a search over which a loss is averaged."""


def read_history(
    prior: Prior, labels: Mapping[str, Sequence[Any]], losses: np.ndarray, at: np.ndarray, points: np.ndarray
) -> xr.Dataset:
    """Return the losses by step, and the parameters in their own units at the steps `at`."""
    data: dict[str, Any] = {"loss": ("step", np.asarray(losses, float))}
    coords: dict[str, Any] = {"step": np.arange(1, len(losses) + 1)}
    if len(at):
        values = jax.jit(jax.vmap(prior.constrain))(jnp.asarray(points).reshape(len(at), -1))
        coords["at"] = np.asarray(at)
        for name, parameter in prior.parameters.items():
            own = "loss_" if name == "loss" else name
            dims = tuple(f"{name}_dim_{a}" for a in range(len(parameter.shape)))
            data[own] = (("at", *dims), np.asarray(values[name]))
            if name in labels:
                coords[f"{name}_dim_0"] = [str(v) for v in labels[name]]
    return xr.Dataset(data, coords)


def draw_history(history: xr.Dataset) -> Any:
    """Return a plotly figure: the loss with its mean over blocks, and the parameters."""
    from plotly.subplots import make_subplots

    step, loss = history["step"].to_numpy(), history["loss"].to_numpy()
    figure = make_subplots(1, 2, subplot_titles=("Loss", "Parameters"), horizontal_spacing=0.12)
    figure.add_scatter(
        x=step, y=loss, mode="lines", line={"color": "#b9cdd6", "width": 1}, name="each step", row=1, col=1
    )
    blocks = np.array_split(np.arange(len(step)), min(BLOCKS, len(step)))
    figure.add_scatter(
        x=[step[b].mean() for b in blocks], y=[np.nanmean(loss[b]) if np.isfinite(loss[b]).any() else None for b in blocks],
        mode="lines", line={"color": "#1f6f8b", "width": 2.5}, name="mean", row=1, col=1,
    )  # fmt: skip
    entries = _entries(history)
    colours = ("#1f6f8b", "#c8553d", "#588157", "#8d6a9f", "#d4a017", "#3d5a80", "#7f5539", "#6c757d")
    for (name, values), colour in zip(entries[:SHOWN], colours, strict=False):
        figure.add_scatter(
            x=history["at"].to_numpy(),
            y=values,
            mode="lines",
            line={"color": colour, "width": 2},
            name=name,
            row=1,
            col=2,
        )
    figure.update_xaxes(title="step")
    figure.update_yaxes(title="loss, nats", row=1, col=1)
    if entries and all((values > 0).all() for _, values in entries[:SHOWN]):
        figure.update_yaxes(type="log", row=1, col=2)
    title = "" if len(entries) <= SHOWN else f"The first {SHOWN} of {len(entries)} entries"
    return figure.update_layout(template="plotly_white", width=1000, height=420, title=title)


def _entries(history: xr.Dataset) -> list[tuple[str, np.ndarray]]:
    found = []
    for name, values in history.data_vars.items():
        if "at" in values.dims:
            flat = values.to_numpy().reshape(values.sizes["at"], -1)
            several = values.ndim > 1
            found += [(f"{name}[{k}]" if several else str(name), column) for k, column in enumerate(flat.T)]
    return found
