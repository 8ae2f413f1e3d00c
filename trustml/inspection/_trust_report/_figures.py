"""Pictures of the report as SVG that takes the colours of the page, light or dark."""

import io
import re
import zlib
from typing import Any

import numpy as np

from trustml.inspection._trust_report._section import Figure

# Drawn in these colours, which are then replaced by the page's own.
_INK, _ACCENT, _SOFT = "#010203", "#010204", "#010205"
_PAGE_COLOURS = {_INK: "currentColor", _ACCENT: "var(--accent)", _SOFT: "var(--soft)"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "trustml",
    # A column called $x$ is shown, not typeset.
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def _drawn(paint, alt, height=2.4) -> Figure:
    """The picture that ``paint(axes)`` makes."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(_STYLE):
        canvas = Canvas(figsize=(6.4, height), layout="constrained")
        paint(canvas.subplots())
        file = io.StringIO()
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    for drawn, of_page in _PAGE_COLOURS.items():
        svg = svg.replace(drawn, of_page)
    # Definitions of two pictures on one page must not share names.
    salt = f"f{zlib.crc32(svg.encode())}-"
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{salt}\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{salt}\1)", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{salt}\1"', svg)
    return Figure(svg.replace("<svg ", '<svg aria-hidden="true" ', 1), alt)


def histogram(values, label, mark=None) -> Figure:
    """How often values occur; a line at ``mark``."""

    def paint(axes):
        axes.hist(values, bins=40, color=_SOFT)
        if mark is not None:
            axes.axvline(mark, color=_ACCENT, linewidth=2)
        axes.set(xlabel=label, ylabel="rows", yscale="log")
        axes.yaxis.set_major_formatter("{x:,.0f}")

    low, high = np.quantile(values, [0.05, 0.95])
    alt = f"Histogram over {len(values):,} rows: {label}. Nine in ten lie between {low:.3g} and {high:.3g}."
    return _drawn(paint, alt + (f" A line is drawn at {mark:.3g}." if mark is not None else ""))


def intervals(names, centres, lows, highs, label, reference=None) -> Figure:
    """A dot with its interval for each name."""
    names = [str(name) if len(str(name)) <= 28 else str(name)[:27] + "…" for name in names]

    def paint(axes):
        places = np.arange(len(names))[::-1]
        if reference is not None:
            axes.axvline(reference, color=_INK, linewidth=0.8, linestyle=":")
        axes.hlines(places, lows, highs, color=_ACCENT, linewidth=2)
        axes.plot(centres, places, "o", color=_ACCENT)
        axes.set_yticks(places, names)
        axes.set(xlabel=label, ylim=(-0.6, len(names) - 0.4))

    said = "; ".join(
        f"{name}: {centre:.3g} ({low:.3g} to {high:.3g})"
        for name, centre, low, high in zip(names, centres, lows, highs, strict=True)
    )
    return _drawn(paint, f"{label}, with 95 % intervals. {said}.", height=0.9 + 0.28 * len(names))


def curves(lines, xlabel, ylabel, diagonal=False) -> Figure:
    """Lines by name, each (x, y)."""

    def paint(axes):
        if diagonal:
            axes.axline((0, 0), slope=1, color=_INK, linewidth=0.8, linestyle=":")
        for (name, (x, y)), colour, marker in zip(lines.items(), (_SOFT, _ACCENT, _INK), ("o", "s", "^"), strict=False):
            axes.plot(x, y, marker=marker, markersize=4, color=colour, label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.legend(frameon=False)

    said = " ".join(
        f"{name}: " + ", ".join(f"{a:.2f} gives {b:.2f}" for a, b in zip(x, y, strict=True)) + "."
        for name, (x, y) in lines.items()
    )
    return _drawn(paint, f"{ylabel} against {xlabel}. {said}", height=3.2)
