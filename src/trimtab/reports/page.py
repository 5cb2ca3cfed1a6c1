"""A report as one HTML page and as Markdown, from the same parts."""

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
    """A whole report, ready to be printed: what `kind` of thing it is about, its title and parts, and where it comes from."""

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

    Raises `RunError` where there is no room for the plots, `WorkError` when the disk refuses.
    """
    plots = folder / "plots"
    try:
        inside(folder, plots.name).mkdir(exist_ok=True)
    except NotRegularFileError as error:
        raise refused_place(error, plots) from error
    except OSError as error:
        raise RunError(f"Cannot make the folder {plots}: {error.strerror}. Move what stands there.") from error
    texts = {folder / "report.html": html(report), folder / "report.md": markdown(report)}
    texts |= {plots / f"{plot.name}.svg": plot.svg for plot in report.plots}
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def html(report: Report) -> str:
    """The page: no script, nothing from elsewhere, every text escaped."""
    return str(_environment().get_template("report.html.j2").render(report=report))


def markdown(report: Report) -> str:
    """The same as Markdown, with the plots beside it."""
    return str(_environment().get_template("report.md.j2").render(report=report))


def inlined(plot: Plot) -> Any:
    """A plot's SVG as a part of the page: with title and description, in the page's own ink."""
    from markupsafe import Markup

    start = plot.svg.index("<svg")
    body = re.sub(r"<metadata>.*?</metadata>", "", plot.svg[start:], count=1, flags=re.DOTALL)
    body = body.replace(INK, "currentColor")
    names = f"{plot.name}-title {plot.name}-desc"
    body = body.replace("<svg", f'<svg role="img" aria-labelledby="{names}" focusable="false"', 1)
    end = body.index(">") + 1
    told = Markup('<title id="{0}-title">{1}</title><desc id="{0}-desc">{2}</desc>').format(
        plot.name, plot.caption, plot.description
    )
    return Markup(body[:end]) + told + Markup(body[end:])


def fenced(code: Code) -> Any:
    """A code block of Markdown, its fence longer than any in the text."""
    from markupsafe import Markup

    longest = max((len(run) for run in re.findall(r"`+", code.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{code.language}\n{printable(code.text, lines=True)}\n{fence}")


def plain(value: Any) -> Any:
    """Text as Markdown shows it: special and control characters escaped, no link, on one line. Markup stays as it is."""
    from markupsafe import Markup

    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    line = printable(" ".join(value.split()))
    return Markup(_SPECIAL.sub(lambda found: _ENTITIES.get(found[0], "\\" + found[0]), line))


def ruler(table: Table) -> Any:
    """The line of a Markdown table that aligns its columns."""
    from markupsafe import Markup

    return Markup("|" + "|".join(" --- " if i in table.words else " ---: " for i in range(len(table.columns))) + "|")


def _shown(value: Any) -> Any:
    """Text of a record without control and invisible characters; Markup is ours."""
    from markupsafe import Markup

    return printable(value, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("trimtab.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    found.filters |= {
        "inlined": inlined,
        "fenced": fenced,
        "plain": plain,
        "ruler": ruler,
        "kind": lambda b: type(b).__name__,
    }
    return found
