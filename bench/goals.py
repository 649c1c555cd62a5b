"""Figures, what they are measured against, and whether they keep their limits: rows of a table."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Goal:
    """A figure, its baseline, and how they must compare."""

    name: str
    ours: list[float]
    baseline_name: str
    baseline: list[float]
    unit: str
    limit: float
    at_least: bool = False

    def ratio(self) -> float:
        """Returns median over median."""
        return median(self.ours) / median(self.baseline)

    def met(self) -> bool:
        """Returns whether the ratio keeps the limit."""
        return self.ratio() >= self.limit if self.at_least else self.ratio() <= self.limit

    def row(self) -> str:
        """Returns a line of the table: medians with their range."""
        sign = ">=" if self.at_least else "<="
        verdict = "met" if self.met() else "MISSED"
        return (
            f"| {self.name} | {figure(self.ours, self.unit)} | {self.baseline_name}: {figure(self.baseline, self.unit)}"
            f" | {self.ratio():.2f} | {sign} {self.limit:g}: {verdict} |"
        )


@dataclass(frozen=True)
class Bound:
    """A figure that has a limit of its own."""

    name: str
    ours: list[float]
    unit: str
    limit: float

    def met(self) -> bool:
        """Returns whether the median keeps the limit."""
        return median(self.ours) <= self.limit

    def row(self) -> str:
        """Returns a line of the table."""
        verdict = "met" if self.met() else "MISSED"
        return f"| {self.name} | {figure(self.ours, self.unit)} | | | <= {self.limit:g} {self.unit}: {verdict} |"


def figure(values: list[float], unit: str) -> str:
    """Returns median and range."""
    digits = {"s": 2, "ms": 1}.get(unit, 0)
    spread = f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else ""
    return f"{median(values):.{digits}f} {unit}{spread}"
