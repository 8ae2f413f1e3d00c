"""What a section of the report holds, whatever it is about."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Number:
    """A figure with the interval that it is known to within, if there is one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of plain values under a header; what a user wrote is not escaped here."""

    caption: str
    header: list[str]
    rows: list[list]


@dataclass(frozen=True)
class Figure:
    """A picture as SVG, and what it shows in words."""

    svg: str
    alt: str


@dataclass(frozen=True)
class Section:
    """One question about the table, and its answer.

    Attributes
    ----------
    name : str
        Key in the JSON.
    question, verdict, next_step : str
        In plain words. Where a section does not apply, the verdict says why.
    status : {"good", "attention", "not applicable"}
    rows_used : str
        Which rows were used for what.
    """

    name: str
    question: str
    verdict: str
    status: str
    next_step: str = ""
    rows_used: str = ""
    numbers: list[Number] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def to_dict(self) -> dict:
        """Everything but the pictures, as plain Python values."""
        content = asdict(self)
        content["figures"] = [figure.alt for figure in self.figures]
        return content


def not_applicable(name: str, question: str, reason: str) -> Section:
    """The section that says why it has no answer."""
    return Section(name, question, reason, "not applicable")
