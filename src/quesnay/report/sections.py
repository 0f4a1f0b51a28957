"""The sections of the report: a paragraph that says what one sees, the figures, and the tables behind them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from . import story, uncertainty, words
from .analysis import Total
from .assumptions import assumptions
from .markup import bullets, legend, paragraph, table, tag
from .run import Run
from .sources import equations, sources
from .words import listed, number, percent

if TYPE_CHECKING:
    from .panels import Drawn

MOST_ROWS = 12


def over_time(run: Run, drawn: "Drawn") -> str:
    """Return output by region over days."""
    from .figures import over_time as figures
    from .figures.theme import note_on_days, note_on_window

    found = run.findings
    text = (
        "The change of daily output against the base state, which is the economy without the shock: zero is the base, below "
        "zero is lost, above zero is made up."
    )
    if found.anything and len(found.regions) > 1:
        worst = {region: story.worst_day(found, run, region) for region in found.regions}
        most, hardest = found.regions[0], max(worst, key=lambda region: worst[region][1])
        day, share = worst[most]
        text += f" {most} loses most in all, and is down {percent(share)} on its worst day, day {number(day)}"
        if hardest != most:
            day, share = worst[hardest]
            text += f"; for its size {hardest} is hit hardest, down {percent(share)} on day {number(day)}"
        text += "."
    text += note_on_window(run) + note_on_days(run)
    panels, keys = figures.output_by_region(run)
    return paragraph(text) + legend(keys) + drawn.place(panels) + _regions(run)


def _regions(run: Run) -> str:
    from .analysis import by_region

    found, currency = run.findings, run.economy.currency
    base = {r: float(v) * run.days for r, v in by_region(run, found.quantities["output"].base).items()}
    shown = found.regions[:MOST_ROWS]
    rows = []
    for region in shown:
        change = found.totals["output"].by_region[region]
        day, share = story.worst_day(found, run, region)
        worst = f"{words.MINUS}{percent(share)} (day {number(day)})" if share > 1e-9 else "nothing lost"
        relative = f"{words.signed(100 * change / base[region], 2)} %" if base[region] > 0 else "no output"
        added = found.totals["value added"].by_region[region]
        rows.append((region, number(base[region]), number(change), relative, number(added), worst, _back(run, region)))
    rest = len(found.regions) - len(shown)
    caption = f"Output and value added by region over the period, {currency}"
    heads = ("Region", "Base output", "Change", "Change, %", "Change of value added", "Worst day", "Back at base")
    more = paragraph(f"{words.count(rest, 'more region')} in result.nc or economy.label(path).", "note") if rest else ""
    return table(caption, heads, rows, range(1, 7)) + more


def _back(run: Run, region: str) -> str:
    from .analysis import back_to_base

    output, mask = run.findings.quantities["output"], run.regions == region
    left, back = back_to_base(output.path[:, mask].sum(axis=1), float(output.base[mask].sum()))
    if left is None:
        return "never off it"
    return "not yet" if back is None else f"day {number(back)}"


def sectors(run: Run, drawn: "Drawn") -> str:
    """Return the sectors' losses by day."""
    from .figures.sectors import heat_maps
    from .figures.theme import note_on_days

    panels, entries, note = heat_maps(run)
    if not panels:
        return tag("p", note, class_="quiet")
    lost = run.findings.split.lost
    names = [run.place(k) for k in np.argsort(-lost, kind="stable").tolist()[:3] if lost[k] > 0]
    text = (
        "Every row is a sector and every column a day; the colour is the share of the sector's base output that is lost on "
        "that day. Sectors are sorted by the share that they lose over the period."
    )
    if names:
        text += f" In {run.economy.currency}, most is lost by {listed(names)}."
    return paragraph(text + note + note_on_days(run)) + legend(entries) + drawn.place(panels)


def waterfall(run: Run, drawn: "Drawn") -> str:
    """Return direct and indirect losses."""
    from .figures.flows import waterfall as figure

    panels, split, currency = figure(run), run.findings.split, run.economy.currency
    if not panels:
        return tag("p", "No output is lost, directly or indirectly.", class_="quiet")
    direct, total = float(split.direct.sum()), split.total
    text = (
        f"From base output to the total change over the period. Direct is what lost capacity alone takes from a sector's base "
        f"output: {number(direct)} {currency}. Indirect is everything else, {number(total - direct)} {currency}: inputs that "
        "did not arrive, orders that did not come, less what was made up above the base."
    )
    return paragraph(text) + drawn.place(panels)


def bottlenecks(run: Run, drawn: "Drawn") -> str:
    """Return what held output back."""
    from .figures.causes import causes, lowest_stocks

    found = run.findings
    limited = found.causes.held_back
    shares = (found.causes.demand, found.causes.capacity, found.causes.input)
    demand, capacity, missing = (percent(float(share.mean())) for share in shares)
    panels = causes(run)
    if limited:
        text = (
            "What set the output of a sector on a day: the orders that it had, its own capacity, or the input that was "
            f"scarcest. {words.sentence(words.count(limited, 'sector'))} of {number(run.economy.n)} "
            f"{'was' if limited == 1 else 'were'} held back by a missing input at some time; over all sectors and days it was "
            f"demand on {demand}, own capacity on {capacity} and an input on {missing}."
        )
        if len(run.economy.regions) > 1:
            text += (
                " No buyer can replace a region's product by the same product of another region: a strong assumption."
            )
    else:
        text = (
            "No sector was ever held back by a missing input: stocks were enough. Over all sectors and days, demand set output "
            f"on {demand} and own capacity on {capacity}."
        )
        if panels:
            text += " Shown are the days on which own capacity was the limit, also while stocks were refilled."
    from .figures.theme import thin

    width = thin(run.days)
    joined = f" Drawn is the most frequent cause in spans of {width} days." if width > 1 and panels else ""
    out, stocks = paragraph(text + joined), lowest_stocks(run)
    if stocks:
        return out + drawn.place(panels) + _spells(run) + drawn.place(stocks)
    calm = "No stock of any input fell more than 1 % below its target."
    if not found.stocks:
        calm = "No sector buys inputs within the table, so that there are no stocks to run out."
    return out + drawn.place(panels) + tag("p", calm, class_="quiet")


def _spells(run: Run) -> str:
    """Return the spells of missing inputs; sectors that missed the same one on the same days share a row."""
    groups: dict[tuple[int, int, int], list[int]] = {}
    for episode in run.findings.episodes:
        groups.setdefault((episode.supplier, episode.first, episode.last), []).append(episode.customer)
    if not groups:
        return ""
    order = sorted(groups.items(), key=lambda item: -(item[0][2] - item[0][1] + 1) * len(item[1]))
    rows = []
    for (supplier, first, last), held in order[:MOST_ROWS]:
        span = f"{number(first)} to {number(last)}" if last > first else number(first)
        names = listed([run.label(k) for k in held], 4)
        rows.append((run.label(supplier), span, number(last - first + 1), f"{number(len(held))}: {names}"))
    caption = "Spells of a missing input"
    if len(groups) > MOST_ROWS:
        caption += f": the {MOST_ROWS} that held back most, of {number(len(groups))}"
    return table(caption, ("Missing input from", "Days of the run", "Length, days", "Sectors held back"), rows, (2,))


def outcomes(run: Run, drawn: "Drawn") -> str:
    """Return the outcomes beside output."""
    from .figures.over_time import outcomes as figure
    from .figures.theme import note_on_window

    found = run.findings
    text = (
        "Every line is a total over all regions, in per cent of its own base, so that quantities of different units can be "
        "compared."
    )
    if run.outcomes:
        text += " Where a line lies below output, the loss falls on sectors that carry more of it than the average."
    else:
        text += " The run names no outcomes such as jobs or emissions, so that only output and value added are shown."
    if any(words.is_labour(name, run.economy.unit(name)) for name in run.outcomes):
        text += (
            " A job-year (person-year) is the work of one job over a year: the number of jobs that output carries, averaged "
            "over the period, times its length in years."
        )
    rows = [_row(total) for total in found.totals.values()]
    heads = (
        "Total over all regions",
        "Unit",
        "Base per year",
        "Base in the period",
        "Change",
        "Change, %",
        "Worst day",
        "Back at base",
    )
    whole = table("Totals", heads, rows, range(2, 8))
    return paragraph(text + note_on_window(run)) + drawn.place(figure(run)) + whole + _outcomes_by_region(run)


def outcomes_heading(run: Run) -> str:
    """Return what the section of outcomes is called."""
    names = [words.shorten(words.called(name), 30) for name in run.outcomes[:3]]
    return words.sentence(listed([*names, "value added"]))


def _row(total: Total) -> tuple[str, ...]:
    worst = (
        f"{words.MINUS}{percent(total.worst_share)} (day {number(total.worst_day)})"
        if total.worst_day is not None
        else "nothing lost"
    )
    back = (
        "never left"
        if total.left is None
        else "not within horizon"
        if total.back is None
        else f"day {number(total.back)}"
    )
    return (
        words.sentence(words.called(total.name)),
        words.pretty(total.unit),
        number(total.base_year),
        number(total.base),
        number(total.change),
        f"{words.signed(100 * total.share, 2)} %",
        worst,
        back,
    )


def _outcomes_by_region(run: Run) -> str:
    found = run.findings
    if len(found.regions) < 2 or not run.outcomes:
        return ""
    shown = found.regions[:MOST_ROWS]
    kept = {name: found.totals[name] for name in run.outcomes[:4]}
    heads = (
        "Region",
        *(f"{words.sentence(words.called(name))}, {words.pretty(total.unit)}" for name, total in kept.items()),
    )
    rows = [(region, *(number(total.by_region[region]) for total in kept.values())) for region in shown]
    rest = len(found.regions) - len(shown)
    caption = "Change over the period by region" + (f" ({len(shown)} of {len(found.regions)})" if rest else "")
    return table(caption, heads, rows, range(1, len(heads)))


def levers(run: Run, drawn: "Drawn") -> str:
    """Return the largest sensitivities."""
    from .figures.levers import levers as figure
    from .figures.levers import say

    panels, found = figure(run), run.findings.sensitivities
    if not panels:
        text = "No small step in inventory, capacity, adjustment time or the loss itself changes the value added lost."
        return tag("p", text, class_="quiet")
    currency = run.economy.currency
    lost = words.money(-run.findings.totals["value added"].change, currency)
    simulated = found.effects[0].taken is not None
    text = (
        f"By how much the value added lost over the period, {lost}, changes when one parameter of one sector changes by one "
        "step. To the left the loss becomes smaller, to the right larger. Shown are the ten largest derivatives, which measure "
        "the first small part of a step;"
    )
    text += (
        " the bars say what the model gives when the whole step is taken, the diamonds what the derivative promises."
        if simulated
        else " the bars are the derivatives times the step. In a run of this size the steps were not simulated."
    )
    names = {
        "inventory": "One more day of inventory everywhere",
        "capacity": "One more percentage point of spare capacity everywhere",
        "adjustment": "One more day of adjustment time everywhere",
        "loss": "One more percentage point of capacity lost in every sector that was hit",
    }
    heads = ("Step", "Step taken", "Derivative times step") if simulated else ("Step", "Derivative times step")
    rows = [
        (names[e.parameter], *(words.signed(v) for v in (e.taken, e.value) if v is not None)) for e in found.everywhere
    ]
    small = (
        "Derivatives are those of this scenario. They are exact where the path changes smoothly; at a kink, where two causes "
        "tie (capacity that is exactly enough, say), they are those of one side. Where bar and diamond differ, the step "
        "crosses kinks: half a day more of a stock may end a stoppage, and the other half of the day adds nothing."
    )
    caption = f"The same step in all sectors at once: change in value added lost, {currency}"
    return (
        paragraph(text)
        + drawn.place(panels)
        + bullets(say(run, 3))
        + table(caption, heads, rows, range(1, len(heads)))
        + paragraph(small, "note")
    )


def structure(run: Run, drawn: "Drawn") -> str:
    """Return the matrix of coefficients and the strongest links."""
    from .figures.structure import structure as figure

    panels = figure(run)
    if not panels:
        return tag("p", "No sector buys from another one in this table.", class_="quiet")
    region = run.findings.regions[0]
    text = (
        "Who buys how much from whom: the colour is the input of the row's product per unit of the column's output, on a "
        "logarithmic scale; blank cells are zero."
    )
    if len(run.economy.regions) > 1:
        text += (
            f" Lines part the regions; the frame marks {region}, which is magnified in the next figure. Blocks on the diagonal "
            "are purchases within a region."
        )
    text += (
        " The graph shows the largest flows between sectors; width is the flow, the size of a dot the sector's output. Flows "
        "on a cycle are how a shock comes back to where it began."
    )
    return paragraph(text) + drawn.place(panels) + bullets([panel.message for panel in panels])


def basis(run: Run, drawn: "Drawn") -> str:
    """Return the assumptions and sources."""
    del drawn
    known = assumptions(run)
    parts = [tag("h3", "The shock"), bullets(known.shocks), tag("h3", "The model")]
    if known.equations:
        lead = (
            "One day, in the order in which it happens; every sector has its own x (output), D (demand placed), s (stocks), "
            "o (orders) and z (capacity left)."
        )
        parts += [paragraph(lead), equations(known.equations)]
    else:
        parts.append(bullets(known.rules))
    parts += [
        table("Parameters", ("Parameter", "Value", "Meaning"), known.parameters, kind="words"),
        paragraph(known.stability),
        tag("h3", "What is left out"),
        bullets(known.left_out),
        *sources(run, [("seed", "not set" if run.seed is None else f"{run.seed} (the supply model draws nothing)")]),
    ]
    return "".join(parts)


def parts(run: Run) -> list[tuple[str, Any, Any]]:
    """Return the sections of a run's report: name, heading, and what they say; those of an ensemble where there is one."""
    return [("output", "Output over time", over_time), *(ENSEMBLE if run.ensemble is not None else ()), *PARTS]


ENSEMBLE = (
    ("uncertainty", "How certain the losses are", uncertainty.uncertainty),
    ("calibration", "What the observations say", uncertainty.calibration),
)
PARTS = (
    ("sectors", "Which sectors lose output", sectors),
    ("waterfall", "From direct to total loss", waterfall),
    ("bottlenecks", "What held output back", bottlenecks),
    ("outcomes", outcomes_heading, outcomes),
    ("levers", "Which levers matter most", levers),
    ("structure", "The structure behind it", structure),
    ("basis", "Assumptions and sources", basis),
)
