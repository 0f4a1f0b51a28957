"""Interventions that leave a node as it was, compartments, and the rebound of energy efficiency in a real table.

Run with `python benchmarks/interventions.py --out benchmarks/results/interventions.json
--figure docs/assets/interventions.svg`.

`rebound`: the three-sector model of Besserve and Schoelkopf (2022), figure 4, with the numbers of the guide. The energy row
is scaled by u, offsets of A[0, 1] go from -0.09 to 0.09. Reference, Lie intervention, and invariant ones: the target's price
is held by an assignment of its parents. `output_held` holds the target's output by its price instead; no straight line does.

`compartments`: the parameters of the paper's figure 5 are not public; the model is one of our own, two regions of three sectors
with economies of scale, each of which sells to the other from its third sector (`tests/intervention/models.py`).

`us_2020`: the packaged table with prices. All users need less energy (rows Utilities and Petroleum products, times 1 less the
saving); prices are costs, `p = A'(p (1 + tax)) + v`; households spend the same income, and the tax's revenue, on a CES
basket. The rebound is the share of the engineering saving, at fixed demand, that is not realised; above 1 it backfires.
Draws: the elasticity of substitution is log-normal (median 0.7, 0.4 in logarithms) and the saving uniform between 5 and 15 %;
both are assumptions. The tax that prevents it is the least duty on energy at which energy use is the engineering one.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np

import quesnay as q
from intervention.models import EFFICIENCY, PARTS, REBOUND, TWO, offset

iv = q.intervention
ENERGY = ("Utilities", "Petroleum products")
SCALES = (0.2, 0.4, 0.6, 0.8)
NEWTON = q.equilibrium.Newton()
DRAWS = 400
ASSIGNMENTS = {"mlp": iv.MLP(), "polynomial": iv.Polynomial(), "implicit": iv.Implicit()}


def rebound() -> dict:
    """Return the curves of figure 4, and how far each assignment lets the price go."""
    span, offsets = (offset(-0.09), offset(0.09)), np.linspace(-0.09, 0.09, 37)
    curves, deviations = {}, {name: {} for name in ASSIGNMENTS}
    for u in SCALES:
        kinds = {"reference": REBOUND, "lie": iv.intervene(REBOUND, iv.Act(EFFICIENCY, u))}
        for name, assignment in ASSIGNMENTS.items():
            found = iv.invariant(
                REBOUND, span, invariant="price[target]", action=EFFICIENCY, element=u, assignment=assignment
            )
            deviations[name][str(u)] = float(found.deviation)
            if name == "mlp":
                kinds["invariant"] = iv.intervene(REBOUND, found.intervention)
        curves[str(u)] = {name: followed(system, offsets) for name, system in kinds.items()}
    held = {"invariant": "output[target]", "auxiliary": "price[target]", "action": EFFICIENCY, "element": 0.6}
    middle = len(offsets) // 2
    return {
        "offsets": offsets.tolist(), "curves": curves, "largest_deviation_of_the_price": deviations,
        "energy_at_0.6": {name: curve["energy"][middle] for name, curve in curves["0.6"].items()},
        "output_held": {
            name: float(iv.invariant(REBOUND, span, **held, assignment=assignment, samples=256).deviation)
            for name, assignment in ASSIGNMENTS.items()
        },
    }  # fmt: skip


def followed(system: q.System, offsets: np.ndarray) -> dict[str, list[float]]:
    """Return the target's price and the demand for energy over offsets."""
    near = {"price": jnp.full(3, 0.3), "output": jnp.ones(3)}
    system = q.System(system, near)
    values = [q.solve(system, offset(at), solver=NEWTON).value for at in offsets]
    return {
        "price": [float(value["price"][0]) for value in values],
        "energy": [float(value["output"][1]) for value in values],
    }


def compartments() -> dict:
    """Return what leaks from one compartment to the other, for several elements in each."""
    theta, span = {"demand": jnp.asarray(1.0)}, ({"demand": jnp.asarray(0.8)}, {"demand": jnp.asarray(1.2)})
    elements = (0.7, 0.85, 1.15, 1.3)
    held = {name: f"{name}[2]" for name in PARTS}
    kept = {
        name: [
            iv.invariant(TWO, span, intervened=f"{name}[0]", invariant=node, element=u, tolerance=1e-8).intervention
            for u in elements
        ]
        for name, node in held.items()
    }
    plain = {name: [iv.Act(iv.Scaling(f"{name}[0]"), u) for u in elements] for name in PARTS}
    found, leaky = iv.compartments(TWO, theta, PARTS, kept, held=held), iv.compartments(TWO, theta, PARTS, plain)
    order = np.argsort([1.0, *elements])
    nodes = {"held": 2, "intervened": 0}
    return {
        "elements": sorted((1.0, *elements)), "proposition_4": found.closed,
        "largest_deviation_of_held_nodes": float(jnp.max(found.deviation)),
        "largest_leakage": float(jnp.max(found.leakage)),
        "largest_leakage_of_lie_interventions": float(jnp.max(leaky.leakage)),
        "curves": {
            kind: {name: np.asarray(case.x)[np.ix_(order, order, [i])][..., 0].tolist() for name, i in nodes.items()}
            for kind, case in (("invariant", found), ("lie", leaky))
        },
    }  # fmt: skip


def us_2020() -> dict:
    """Return the rebound, its spread over draws, and the duty that prevents it."""
    economy = q.load("us-2020")
    A, d = jnp.asarray(economy.A), jnp.asarray(economy.final_demand)
    n = d.size
    energy = np.array([sector in ENERGY for _ in economy.regions for sector in economy.sectors])
    primary = 1 - A.sum(0)

    def model(x, theta):
        technology = jnp.where(energy[:, None], 1 - theta["saving"], 1) * A
        paid = x["price"] * jnp.where(energy, theta["duty"], 1)
        revenue = (theta["duty"] - 1) * jnp.sum(jnp.where(energy, x["price"] * x["output"], 0))
        weights = d * paid ** (1 - theta["elasticity"])
        demand = d * paid ** -theta["elasticity"] * (d.sum() + revenue) / weights.sum()
        return {"price": technology.T @ paid + primary, "output": technology @ x["output"] + demand}

    x0 = jnp.linalg.solve(jnp.eye(n) - A, d)
    system = q.System(model, {"price": jnp.ones(n), "output": x0})

    def used(saving, elasticity, duty=1.0):
        theta = {"saving": saving, "elasticity": elasticity, "duty": duty}
        return q.solve(system, theta, solver=NEWTON, throw=False).value["output"] @ energy

    def engineering(saving):
        return jnp.linalg.solve(jnp.eye(n) - jnp.where(energy[:, None], 1 - saving, 1) * A, d) @ energy

    def share(saving, elasticity):
        return 1 - (x0 @ energy - used(saving, elasticity)) / (x0 @ energy - engineering(saving))

    rng = np.random.default_rng(0)
    elasticity, saving = 0.7 * np.exp(0.4 * rng.normal(size=DRAWS)), rng.uniform(0.05, 0.15, DRAWS)
    drawn = np.asarray(jax.jit(jax.vmap(share))(jnp.asarray(saving), jnp.asarray(elasticity)))
    grid = np.linspace(0, 3, 31)
    along = np.asarray(jax.vmap(lambda s: share(0.1, s))(jnp.asarray(grid)))
    theta = {"saving": jnp.asarray(0.1), "elasticity": jnp.asarray(0.7), "duty": jnp.asarray(1.0)}
    duty = iv.optimise(
        system, theta,
        action=iv.ParameterScaling(lambda g, t: {**t, "duty": t["duty"] * g[0]}),
        objective=lambda x, g: g[0],
        constraints=[iv.at_most(lambda x: x["output"] @ energy, float(engineering(0.1)), "energy")],
        bounds=(1.0, 3.0),
    )  # fmt: skip
    return {
        "saving": 0.1, "elasticity": 0.7,
        "reproduced": bool(q.reproduce(system, theta | {"saving": 0.0}, system.x0, solver=NEWTON).reproduced),
        "rebound": float(share(0.1, 0.7)),
        "slope_by_elasticity": float(jax.grad(share, argnums=1)(0.1, 0.7)),
        "mean_of_draws": float(drawn.mean()),
        "interval_of_draws": np.quantile(drawn, [0.025, 0.975]).tolist(),
        "share_of_draws_above_0": float((drawn > 0).mean()),
        "share_of_draws_that_backfire": float((drawn > 1).mean()),
        "elasticities": grid.tolist(), "rebound_by_elasticity": along.tolist(),
        "duty_that_prevents_it": float(duty.element[0]) - 1,
        "stationarity": float(duty.stationarity),
        "rebound_with_the_duty": 1 - float(
            (x0 @ energy - used(0.1, 0.7, duty.element[0])) / (x0 @ energy - engineering(0.1))
        ),
    }  # fmt: skip


def draw(found: dict, path: Path) -> None:
    """Draw both panels of each figure."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quesnay"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    (price, demand, _), (held, moved, _) = axes
    for axis in axes[:, 2]:
        axis.remove()
    american = figure.add_subplot(axes[0, 0].get_gridspec()[:, 2])
    offsets, colours = found["rebound"]["offsets"], {"reference": "0.1", "lie": "#c0392b", "invariant": "#1f6f8b"}
    names = {"reference": "no intervention", "lie": "energy row times 0.6", "invariant": "and the price held"}
    for kind, curve in found["rebound"]["curves"]["0.6"].items():
        style = {"color": colours[kind], "label": names[kind], "linestyle": "--" if kind == "invariant" else "-"}
        price.plot(offsets, curve["price"], **style)
        demand.plot(offsets, curve["energy"], **style)
    price.set(title="Price of the target", xlabel="offset of A[0, 1]", ylabel="energy in a unit")
    demand.set(title="Demand for energy", xlabel="offset of A[0, 1]", ylabel="output of the energy sector")
    for axis in (price, demand):
        axis.set_xticks([-0.09, -0.045, 0, 0.045, 0.09])
    price.legend(frameon=False)
    us = found["us_2020"]
    american.plot(us["elasticities"], 100 * np.array(us["rebound_by_elasticity"]), color=colours["invariant"])
    low, high = us["interval_of_draws"]
    american.axhspan(100 * low, 100 * high, color="0.93", zorder=0)
    american.annotate("95 % of draws", (2.95, 50 * (low + high)), ha="right", va="center", fontsize=8, color="0.4")
    american.set(
        title="United States, 10 % less energy per unit", xlabel="elasticity of substitution", ylabel="rebound (%)",
        ylim=(0, None), xlim=(0, 3),
    )  # fmt: skip
    two = found["compartments"]
    shades = plt.colormaps["viridis"](np.linspace(0.1, 0.9, len(two["elements"])))
    for axis, node, title in (
        (held, "held", "Held node of compartment 1"),
        (moved, "intervened", "Node intervened on"),
    ):
        for column, shade in enumerate(shades):
            label = f"v = {two['elements'][column]:g}"
            axis.plot(two["elements"], np.array(two["curves"]["invariant"][node])[:, column], color=shade, label=label)
            axis.plot(two["elements"], np.array(two["curves"]["lie"][node])[:, column], color=shade, linestyle="--")
        axis.set(title=title, xlabel="factor u in compartment 1", ylabel="output")
    held.legend(frameon=False, fontsize=8, title="solid: invariant; dashed: Lie")
    for axis in (price, demand, american, held, moved):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, print, and write the numbers and the figure where files are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    found = {
        "command": f"python benchmarks/interventions.py --out {given.out} --figure {given.figure}", "what": __doc__,
        "python": platform.python_version(), "jax": jax.__version__,
        "rebound": rebound(), "compartments": compartments(), "us_2020": us_2020(),
    }  # fmt: skip
    shown = {name: {k: v for k, v in part.items() if k not in ("curves", "offsets")} for name, part in found.items()
             if isinstance(part, dict)}  # fmt: skip
    print(json.dumps(shown, indent=1))
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if given.figure is not None:
        draw(found, given.figure)


if __name__ == "__main__":
    main()
