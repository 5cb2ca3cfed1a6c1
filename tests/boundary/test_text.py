import csv
import io

import pytest

from trimtab.boundary import csv_cell, is_unicode, listed, printable, shortened


@pytest.mark.parametrize("text", ["plain", "Grüße, 世界", "👩\u200d💻", "[bold]x[/bold]", "tab inside is"])
def test_ordinary_text_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\r", "a\\x0ab\\x09c\\x0d"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("\u2028", "\\u2028"),
    ],
)
def test_control_and_invisible_characters_are_shown_as_escapes(text, shown):
    assert printable(text) == shown
    printable(text).encode()


def test_lines_may_be_kept():
    assert printable("a\n\tb\x1b", lines=True) == "a\n\tb\\x1b"


def test_a_long_text_keeps_its_beginning_and_its_end():
    short = shortened("begin " + "x" * 10_000 + " end", 200)
    assert len(short) <= 200
    assert short.startswith("begin ")
    assert short.endswith(" end")
    assert "characters more" in short
    assert shortened("x" * 200, 200) == "x" * 200


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+cmd", "@SUM(A1)", "\tx", "\rx", "\n=1"])
def test_no_text_is_a_formula_in_a_spreadsheet(text):
    file = io.StringIO()
    csv.writer(file).writerow([csv_cell(text)])
    (row,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert row == [f"'{text}"]


@pytest.mark.parametrize("value", [-1.5, 3, None, True, "a=b", "x-1", ""])
def test_numbers_and_other_text_are_cells_as_they_are(value):
    assert csv_cell(value) == value


def test_a_list_of_names_is_short_and_printable():
    assert listed(["a", "b\x1b"]) == "a, b\\x1b"
    many = listed([f"column{i}" for i in range(10_000)])
    assert many.startswith("column0, column1, ")
    assert many.endswith(" and 9,988 more")
    assert len(listed(["x" * 10_000])) <= 60


def test_text_with_a_lone_surrogate_is_not_unicode():
    assert is_unicode("Grüße \U0001f469")
    assert not any(is_unicode(value) for value in ("a\ud800", "\udfff", b"a", None, 7))
