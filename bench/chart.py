"""A bar chart as SVG: each figure as a share of its baseline, with a mark at the goal, if any."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

LABEL_PX, SCALE_PX, ROW_PX = 300, 340, 34
STYLE = "text{font:13px sans-serif;fill:#3c4043}.base{fill:#dadce0}.ours{fill:#1a73e8}.goal{stroke:#d93025}"


class Bar(NamedTuple):
    """One figure.

    Attributes:
        label: What is measured, and against what.
        share: The figure divided by its baseline.
        goal: The share that was aimed at; None if none was.
        value: The figure itself, with its unit.
    """

    label: str
    share: float
    goal: float | None
    value: str


def row(top: int, bar: Bar) -> str:
    """Returns the SVG elements of one figure."""
    length = SCALE_PX * bar.share
    elements = (
        f'<text x="{LABEL_PX - 10}" y="{top + 19}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect class="base" x="{LABEL_PX}" y="{top + 3}" width="{SCALE_PX}" height="24"/>'
        f'<rect class="ours" x="{LABEL_PX}" y="{top + 8}" width="{length:.1f}" height="14"/>'
        f'<text x="{LABEL_PX + max(SCALE_PX, length) + 8:.1f}" y="{top + 19}">{escape(bar.value)}</text>'
    )
    if bar.goal is None:
        return elements
    goal = LABEL_PX + SCALE_PX * bar.goal
    mark = f'x1="{goal:.1f}" x2="{goal:.1f}" y1="{top + 1}" y2="{top + 29}" stroke-width="2"'
    return f'{elements}<line class="goal" {mark}/>'


def draw(bars: Sequence[Bar], *, ours: str) -> str:
    """Returns the picture; `ours` names the measured thing in the legend."""
    rows = "\n".join(row(number * ROW_PX, bar) for number, bar in enumerate(bars))
    bottom = len(bars) * ROW_PX
    width = LABEL_PX + SCALE_PX * max(1, *(bar.share for bar in bars)) + 110
    goal = "; red: the goal" if any(bar.goal is not None for bar in bars) else ""
    legend = f"blue: {ours}; grey: the baseline{goal}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {bottom + 30}">\n'
        f"<style>{STYLE}</style>\n{rows}\n"
        f'<text x="{LABEL_PX}" y="{bottom + 20}">{escape(legend)}</text>\n</svg>\n'
    )
