"""The report as one HTML file: nothing is fetched, and whatever a user wrote is escaped."""

from html import escape
from importlib.resources import files
from math import isfinite

_WORDS = {"good": ("good", "Nothing to worry about"), "attention": ("attention", "Needs attention")}


def shown(value) -> str:
    """A value as a reader wants it: three to four significant digits, thousands separated."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not isfinite(value):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.4g}"


def page(sections, facts: dict, title: str) -> str:
    """The whole file.

    Parameters
    ----------
    sections : list of Section
    facts : dict of str to str
        What was looked at: rows, columns, target, model.
    title : str
    """
    contents = "".join(map(_entry, sections))
    folder = files("trustml.inspection._trust_report")
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    described = "".join(f"<dt>{escape(name)}</dt><dd>{escape(shown(value))}</dd>" for name, value in facts.items())
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; img-src data:\">"
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body><header><h1>{escape(title)}</h1>"
        f'<dl>{described}</dl><nav aria-label="Sections"><ul>{contents}</ul></nav></header>\n<main>'
        + "\n".join(_section(s) for s in sections)
        + f"</main><script>{script}</script></body></html>\n"
    )


def _entry(section):
    css, words = _status(section)
    link = f'<a href="#{section.name}">{escape(section.question)}</a>'
    return f'<li>{link} <span class="status {css}">{words}</span></li>'


def _status(section):
    return _WORDS.get(section.status, ("none", "Does not apply"))


def _section(section):
    css, words = _status(section)
    parts = [
        f'<section id="{section.name}" aria-labelledby="{section.name}-h"><p class="status {css}">{words}</p>',
        f'<h2 id="{section.name}-h">{escape(section.question)}</h2><p class="verdict">{escape(section.verdict)}</p>',
    ]
    if section.next_step:
        parts.append(f"<p><strong>What to do next.</strong> {escape(section.next_step)}</p>")
    parts += [
        f'<figure><div class="wide" tabindex="0">{figure.svg}</div><figcaption>'
        f"<details><summary>The picture in words</summary>{escape(figure.alt)}"
        "</details></figcaption></figure>"
        for figure in section.figures
    ]
    parts += [_table(table) for table in section.tables]
    if section.numbers:
        items = "".join(f"<dt>{escape(n.label)}</dt><dd>{escape(_number(n))}</dd>" for n in section.numbers)
        parts.append(f"<details><summary>The numbers</summary><dl>{items}</dl></details>")
    if section.rows_used:
        parts.append(f'<p class="quiet">Rows used: {escape(section.rows_used)}</p>')
    return "".join(parts) + "</section>"


def _number(number):
    text = shown(number.value)
    return text if number.low is None else f"{text} (95 % interval {shown(number.low)} to {shown(number.high)})"


def _table(table):
    head = "".join(f'<th scope="col"><button type="button">{escape(str(name))}</button></th>' for name in table.header)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table.rows)
    return (
        f'<div class="wide" tabindex="0"><table><caption>{escape(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value):
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'<td class="number" data-value="{value!r}">{escape(shown(value))}</td>'
    return f"<td>{escape(str(value))}</td>"
