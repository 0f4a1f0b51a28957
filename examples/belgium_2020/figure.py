"""The figure: revenue of the economy by day, errors of every method, and the ten largest survey groups."""

import datetime as dt
from pathlib import Path

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from .data import DAYS, FIRST_DAY, Belgium
from .evaluate import Row, runs
from .model import change
from .scenarios import BUSINESS, CONTACT, LOCKDOWN, RESTAURANTS, SHOPS

COLOUR = {"nowcast": "#1f5fa8", "forecast": "#c8501e", "a priori": "#5c8a3a"}
INK, GREY, PALE = "#1a1a1a", "#6b6b6b", "#d9d9d9"
TURNS = {
    LOCKDOWN: "lockdown",
    BUSINESS: "offices",
    SHOPS: "shops",
    CONTACT: "contact professions",
    RESTAURANTS: "restaurants",
}
SHOWN = {
    "nowcast": ("staff alone", "line in staff", "line in filtered staff, offsets"),
    "forecast": ("survey of 27 April", "line in staff of 27 April", "previous survey (knows later ones)"),
    "a priori": ("published labour shock alone", "previous survey (knows later ones)"),
}
"""Rivals that the figure shows; the tables have all."""


def draw(data: Belgium, fitted: dict, made: dict[str, list[Row]], folder: Path) -> None:
    """Draw `belgium_2020.svg` and `.png`."""
    locked_down = (np.arange(DAYS) >= LOCKDOWN)[:, None]
    paths = {
        name: trailing_week(np.maximum(change(data, path) + locked_down * offset, -100))
        for name, (path, offset) in runs(data, fitted).items()
    }
    style = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "belgium_2020"}
    with plt.rc_context(style | {"axes.edgecolor": GREY, "xtick.color": GREY, "ytick.color": GREY}):
        figure = plt.figure(figsize=(11, 8.6), layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=(1.15, 1), hspace=0.04)
        left, right = top.subplots(1, 2, width_ratios=(1.65, 1))
        draw_economy(left, data, paths)
        draw_errors(right, made)
        axes = bottom.subplots(2, 5, sharex=True, sharey=True)
        bottom.suptitle("The ten largest survey groups, by output", x=0.005, ha="left", fontsize=10.5, color=INK)
        for axis, group in zip(axes.flat, np.argsort(-data.weight)[:10], strict=True):
            draw_group(axis, data, paths, int(group))
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / "belgium_2020.svg", metadata={"Date": None})
        figure.savefig(folder / "belgium_2020.png", dpi=130)
    plt.close(figure)


def trailing_week(daily: np.ndarray) -> np.ndarray:
    """Return the mean of the seven days before each day, as the surveys are compared; the first week is left out."""
    weeks = np.lib.stride_tricks.sliding_window_view(daily[:-1], 7, axis=0).mean(axis=-1)
    return np.concatenate([np.full((7, daily.shape[1]), np.nan), weeks])


def draw_economy(axis: Axes, data: Belgium, paths: dict[str, np.ndarray]) -> None:
    """Draw revenue of the whole economy, percent, in the weights of the metric."""
    draw_lines(axis, data, {name: path @ data.weight for name, path in paths.items()}, data.revenue @ data.weight)
    axis.set_ylim(-42, 4)
    for row, (when, name) in enumerate(TURNS.items()):
        axis.axvline(date(when), color=PALE, linewidth=0.8, zorder=0)
        write(axis, name, date(when), 3.6 - 1.9 * (row % 2), (2, 0), va="top")
    axis.axvspan(date(7), date(int(data.dates[4])), color="#f4f1ea", zorder=-1, linewidth=0)
    write(axis, "fitted on the surveys up to here", date(int(data.dates[4])), -41, (-3, 0), ha="right")
    for line, (name, colour) in enumerate({"● survey": INK, **COLOUR}.items()):
        axis.annotate(name, (0.985, 0.22 - 0.055 * line), xycoords="axes fraction", color=colour, ha="right")
    axis.set_title(
        "Revenue of the economy, percent above or below normal (mean of seven days)",
        loc="left",
        fontsize=10.5,
        color=INK,
    )
    axis.grid(axis="y", color=PALE, linewidth=0.5)


def write(axis: Axes, text: str, x: dt.date, y: float, shift: tuple[int, int], **place: str) -> None:
    """Write a small remark."""
    axis.annotate(text, (x, y), xytext=shift, textcoords="offset points", fontsize=7.5, color=GREY, **place)


def draw_lines(axis: Axes, data: Belgium, lines: dict[str, np.ndarray], survey: np.ndarray, size: float = 22) -> None:
    """Draw the three runs and the surveys."""
    days = [date(day) for day in range(DAYS)]
    for name, values in lines.items():
        axis.plot(days, values, color=COLOUR[name], linewidth=1.5)
    axis.scatter([date(int(day)) for day in data.dates], survey, s=size, color=INK, zorder=3, linewidths=0)
    axis.axhline(0, color=GREY, linewidth=0.6)
    axis.set_xlim(date(7), date(DAYS - 1))
    axis.xaxis.set_major_locator(mdates.MonthLocator())
    axis.xaxis.set_major_formatter(mdates.DateFormatter("%b"))


def draw_errors(axis: Axes, made: dict[str, list[Row]]) -> None:
    """Draw the errors on the last five dates: the model's, and those of its rivals."""
    height = 0.0
    for task, rows in made.items():
        model, others = rows[0], [row for row in rows[1:] if row.name in SHOWN[task]]
        axis.annotate(task, (0, height), color=COLOUR[task], fontweight="bold", va="center")
        height -= 1
        for row in (model, *sorted(others, key=lambda row: row.last)):
            mine = row is model
            axis.plot(
                [0, row.last],
                [height, height],
                color=COLOUR[task] if mine else PALE,
                linewidth=5,
                solid_capstyle="butt",
            )
            name = "model" if mine else row.name.replace(" (knows later ones)", "*")
            axis.annotate(
                f"{row.last:.1f}  {name}",
                (row.last, height),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                color=INK if mine else GREY,
            )
            height -= 1
        height -= 0.4
    axis.set_ylim(height + 0.6, 0.8)
    axis.set_xlim(0, 33)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.set_xticks([0, 10, 20])
    axis.set_title("Mean error on the last five dates, points", loc="left", fontsize=10.5, color=INK)
    axis.set_xlabel(
        "* each date's survey before it, which a forecast from 27 April does not know",
        fontsize=7.5,
        color=GREY,
        loc="left",
    )


def draw_group(axis: Axes, data: Belgium, paths: dict[str, np.ndarray], group: int) -> None:
    """Draw one survey group."""
    draw_lines(axis, data, {name: path[:, group] for name, path in paths.items()}, data.revenue[:, group], size=9)
    axis.set_ylim(-100, 15)
    axis.set_yticks([0, -50, -100])
    axis.set_title(short(data.groups[group]), loc="left", fontsize=8.5, color=INK)


def short(name: str) -> str:
    """Return a group's name in few words."""
    name = (
        name.replace("Manufacture of ", "")
        .replace(" activities", "")
        .replace("pharmaceutical and chemical products", "pharma and chemicals")
    )
    return (name[0].upper() + name[1:]).replace("Metallurgy and manufacture of metal products", "Metals")


def date(day: int) -> dt.date:
    """Return the date of a day of the model."""
    return FIRST_DAY + dt.timedelta(days=day)
