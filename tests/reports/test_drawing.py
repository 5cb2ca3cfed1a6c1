import re

import pytest

from trimtab.reports.blocks import Code, Judgement, Judgements, Listing, Plots, Section, Table, Text
from trimtab.reports.drawing import drawable, file_name, legend, plot
from trimtab.reports.page import Report, html, markdown

NAMES = [
    "$x",
    "$x$",
    "a_b^{",
    r"\frac",
    r"$\frac{$",
    r"\$",
    r"a\$b$",
    "_hidden",
    "😀",
    "\x1b[2J",
    "\ud800",
    "日本",
    "<b>",
    "a&b",
    "x" * 300,
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_can_be_drawn_as_text(name):
    def draw(figure, axes):
        axes.plot([0, 1], [0, 1], label=drawable(name))
        axes.set_title(drawable(name))
        axes.set_xlabel(drawable(name))
        axes.set_ylabel(f"effect on {drawable(name)}")
        axes.set_xticks([0, 1], [drawable(name, 14), "b"])
        axes.text(0, 0, drawable(name))
        legend(figure, axes.get_lines(), [drawable(name)])

    assert plot("name", "caption", "description", draw).svg.count("<svg") == 1


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_file_name_is_short_and_plain(name):
    assert re.fullmatch(r"losses-1[a-z0-9-]*", file_name("losses", 1, name))
    assert len(file_name("losses", 1, name, name)) < 200


HOSTILE = [
    "[click](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "<http://evil.example>",
    "<script>alert(1)</script>",
    "a|b",
    "`code`",
    "# heading",
    "&lt;b&gt;",
    "a\n\n- item",
    "$x$",
    "http://evil.example/x",
    "www.evil.example",
    "- item",
    "1. item",
    "\x1b[2J",
    "~~gone~~",
    "**bold** __bold__",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_questions_are_text_in_both_reports(text):
    blocks = (
        Text(text),
        Listing(((text, text),)),
        Judgements((Judgement(text, text, text),)),
        Table(text, (text, text), ((text, text),)),
        Code(text),
        Plots(()),
    )
    report = Report("kind", text, (Section("key", text, blocks),), text)
    page, plain = html(report), markdown(report)
    assert "<script>" not in page
    assert "<http" not in page
    outside = re.sub(r"^(`{3,})\w*\n.*?\n\1$", "", plain, flags=re.DOTALL | re.MULTILINE)
    for mark in ("<", "`code`", "~~", "**bold**", "http://", "www.evil", "\n- item"):
        assert mark not in outside, mark
    assert not re.search(r"(?<!\\)\]\(", outside)
    rows = [line for line in outside.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    if "&" in text:
        assert "&amp;lt;" in page
        assert "&amp;lt;" in outside
