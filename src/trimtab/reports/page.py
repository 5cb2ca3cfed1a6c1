"""Writing a report as one HTML page and as Markdown."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trimtab.boundary import NotRegularFileError, inside, printable
from trimtab.errors import RunError
from trimtab.records.atomic import write_text
from trimtab.records.failures import refused_place
from trimtab.reports.blocks import Code, Plot, Section, Table
from trimtab.reports.style import INK

_SPECIAL = re.compile(r"[\\`*{}\[\]<>&|#!$~@]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.|^[-+=]|(?<=^\d)[.)]", re.IGNORECASE)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


@dataclass(frozen=True)
class Report:
    """A report: the `kind` of thing that it is about, its title, sections and footer."""

    kind: str
    title: str
    sections: tuple[Section, ...]
    footer: str

    @property
    def plots(self) -> list[Plot]:
        """Every plot, in order."""
        return [plot for s in self.sections for block in s.blocks for plot in getattr(block, "plots", ())]


def write_pages(report: Report, folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and `plots/*.svg` into a folder and return their paths.

    Raises `RunError` where the folder for the plots cannot be made, `WorkError` when the disk refuses.
    """
    plots = folder / "plots"
    try:
        inside(folder, plots.name).mkdir(exist_ok=True)
    except NotRegularFileError as error:
        raise refused_place(error, plots) from error
    except OSError as error:
        raise RunError(
            f"Cannot make the folder {plots}: {error.strerror}. Remove or rename what is in its place."
        ) from error
    texts = {folder / "report.html": html(report), folder / "report.md": markdown(report)}
    texts |= {plots / f"{plot.name}.svg": plot.svg for plot in report.plots}
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def html(report: Report) -> str:
    """The HTML page: without scripts or external files, every text escaped."""
    return str(_environment().get_template("report.html.j2").render(report=report))


def markdown(report: Report) -> str:
    """The report as Markdown, which links to the plots as files."""
    return str(_environment().get_template("report.md.j2").render(report=report))


def inlined(plot: Plot) -> Any:
    """A plot's SVG for the page: with title and description, in the page's text colour."""
    from markupsafe import Markup

    start = plot.svg.index("<svg")
    body = re.sub(r"<metadata>.*?</metadata>", "", plot.svg[start:], count=1, flags=re.DOTALL)
    body = body.replace(INK, "currentColor")
    names = f"{plot.name}-title {plot.name}-desc"
    body = body.replace("<svg", f'<svg role="img" aria-labelledby="{names}" focusable="false"', 1)
    end = body.index(">") + 1
    labels = Markup('<title id="{0}-title">{1}</title><desc id="{0}-desc">{2}</desc>').format(
        plot.name, plot.caption, plot.description
    )
    return Markup(body[:end]) + labels + Markup(body[end:])


def fenced(code: Code) -> Any:
    """A Markdown code block, with a fence longer than any in the text."""
    from markupsafe import Markup

    longest = max((len(run) for run in re.findall(r"`+", code.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{code.language}\n{printable(code.text, lines=True)}\n{fence}")


def plain(value: Any) -> Any:
    """Text escaped for Markdown, on one line: special and control characters escaped, no links. Markup is returned as it is."""
    from markupsafe import Markup

    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    line = printable(" ".join(value.split()))
    return Markup(_SPECIAL.sub(lambda match: _ENTITIES.get(match[0], "\\" + match[0]), line))


def ruler(table: Table) -> Any:
    """The line of a Markdown table that sets the alignment of its columns."""
    from markupsafe import Markup

    return Markup("|" + "|".join(" --- " if i in table.words else " ---: " for i in range(len(table.columns))) + "|")


def _shown(value: Any) -> Any:
    """Text without control and invisible characters; Markup, which is made here, is returned as it is."""
    from markupsafe import Markup

    return printable(value, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trimtab.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters |= {
        "inlined": inlined,
        "fenced": fenced,
        "plain": plain,
        "ruler": ruler,
        "kind": lambda b: type(b).__name__,
    }
    return environment
