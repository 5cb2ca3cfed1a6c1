"""Curves, charts, colours, filters and the table of keys."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.hud.app import offline_svg
from trimtab.hud.chart import Chart, Curve, Mark, Options, passages, smoothed
from trimtab.hud.curves import panned, zoomed
from trimtab.hud.filters import Filter, fuzzy, ranked
from trimtab.hud.keys import KEYS, SCREENS, footer, help_rows, keys_of, table
from trimtab.hud.look import PALETTES, Look, contrast
from trimtab.hud.raster import Raster, Window, bar, level, sparkline
from trimtab.hud.words import count, duration, number

DOCS = Path(__file__).parents[2] / "docs"
VALUES = st.lists(st.one_of(st.floats(-1e300, 1e300), st.just(math.nan)), max_size=60)


def curve(values: list[float], places: list[float] | None = None) -> Curve:
    low = [math.inf if math.isnan(value) else value for value in values]
    high = [-math.inf if math.isnan(value) else value for value in values]
    return Curve("y", places or [float(index) for index in range(len(values))], low, high, "#ffffff")


@given(VALUES, st.integers(1, 90), st.integers(1, 30), st.booleans(), st.sampled_from(["braille", "block", "ascii"]))
def test_a_chart_has_exactly_the_asked_lines_and_no_line_is_too_wide(values, width, height, log, glyphs) -> None:
    chart = Chart([curve(values)], [Mark(3.0, "^", "#ffffff")])
    text = chart.text(width, height, Look(glyphs=glyphs), Options(log=log, cross=0.4)).plain
    lines = text.split("\n")
    if text != "no values yet":
        assert len(lines) == height
        assert max(map(len, lines)) <= width
    if glyphs == "ascii":
        assert text.replace("–", "-").isascii()


@pytest.mark.parametrize(
    ("glyphs", "expected"), [("ascii", ["   *", "  **", "**  "]), ("block", None), ("braille", None)]
)
def test_a_rising_curve_rises(glyphs: str, expected: list[str] | None) -> None:
    raster = Raster(4, 3, glyphs)
    values = [0.0, 0.0, 0.5, 1.0]
    raster.curve([0.0, 1.0, 2.0, 3.0], values, values, Window(0.0, 3.0, 0.0, 1.0))
    drawn = ["".join(raster.character(row, column) for column in range(4)) for row in range(3)]
    if expected is not None:
        assert drawn[0][3] == "*"
        assert drawn[2][0] == "*"
    assert drawn[0][-1] != " "
    assert drawn[-1][0] != " "
    assert drawn[0][0] == " "


def test_one_extreme_of_a_hundred_thousand_points_is_drawn() -> None:
    values = [1.0] * 100_000
    values[77_777] = 9.0
    raster = Raster(50, 10)
    places = [float(index) for index in range(len(values))]
    raster.curve(places, values, values, Window(0.0, 99_999.0, 1.0, 9.0))
    assert [column for column in range(50) if raster.character(0, column) != " "] == [38]


def test_a_rewind_begins_a_new_passage() -> None:
    parts = list(passages(curve([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 2.0, 3.0])))
    assert [list(places) for places, _, _ in parts] == [[1.0, 2.0, 3.0], [2.0, 3.0]]


def test_smoothing_has_no_bias_at_its_start_and_keeps_gaps() -> None:
    assert smoothed([5.0, 5.0, math.inf, 5.0], [5.0, 5.0, -math.inf, 5.0], 0.9) == pytest.approx(
        [5.0, 5.0, math.inf, 5.0]
    )


@given(st.lists(st.sampled_from([0.5, 2.0, 0.0, "left", "right"]), max_size=40))
def test_zoom_and_pan_stay_within_the_axis(moves: list) -> None:
    options = Options()
    for move in moves:
        moved = panned(options, -1 if move == "left" else 1) if isinstance(move, str) else zoomed(options, move)
        options = moved
        assert -1e-9 <= options.left < options.right <= 1 + 1e-9


def test_bars_levels_and_sparklines() -> None:
    assert bar(0.5, 4) == "▇▇▁▁"
    assert bar(2.0, 3, "ascii") == "###"
    assert (level(0.0), level(1.0)) == (" ", "█")
    assert sparkline([0.0, math.nan, 1.0], 3) == "▁ █"
    assert sparkline([], 5) == ""


@pytest.mark.parametrize("palette", PALETTES.values(), ids=list(PALETTES))
def test_every_text_has_a_contrast_of_at_least_four_and_a_half(palette) -> None:
    texts = (palette.text, palette.dim, palette.accent, palette.good, palette.warning, palette.bad, *palette.curves)
    for background in (palette.background, palette.surface):
        assert min(contrast(text, background) for text in texts) >= 4.5
    if palette is PALETTES["dark"]:  # the line of the cursor
        assert contrast(palette.text, palette.border) >= 4.5


def test_states_are_told_apart_without_colours() -> None:
    states = ("running", "completed", "interrupted", "stopped", "diverged", "damaged", "waiting", "starting")
    for look in (Look(), Look(glyphs="ascii")):
        assert len({look.state(state)[0] for state in states}) == len(states)


def test_fuzzy_filters() -> None:
    assert fuzzy("zz", "episode") is None
    texts = ["episode.schedule.warmup", "model.width", "episode.optimizer.lr", "episode.lr_factor"]
    assert ranked("lr", texts)[0] == 2
    assert ranked("mwid", texts) == [1]
    assert ranked("ep warm", texts) == [0]


def test_filters_of_runs() -> None:
    fields, config = (
        {"status": "running", "kind": "training"},
        {"episode": {"optimizer": {"name": "adamw", "lr": 0.01}}},
    )
    for text, expected in (
        ("", True), ("sms", True), ("zzz", False), ("status:run", True), ("status:done", False), ("lr>0.001", True), ("lr>1", False),
        ("lr<=0.01 kind:train", True), ("optimizer.lr>=0.01", True), ("name:adam", True), ("lr>x", False), ("nothing:1", False),
    ):  # fmt: skip
        assert Filter(text).fits("sums", fields, config) == expected, text


def test_the_keys_of_a_screen_are_unambiguous_and_in_its_help() -> None:
    for screen in SCREENS:
        names = [name for key in keys_of(screen) for name in key.keys.split(",")]
        assert len(names) == len(set(names)), screen
        assert {words for _, words in help_rows(screen)} == {key.help for key in keys_of(screen)}
        assert footer(screen)
    assert {screen for key in KEYS for screen in key.screens} <= {*SCREENS, "everywhere"}


def test_the_page_in_the_docs_has_the_table_of_keys() -> None:
    assert table() in (DOCS / "hud.md").read_text()


def test_pictures_load_nothing_from_a_server() -> None:
    svg = '<style>@font-face { src: url("https://cdn.example/x") } @font-face { a: b } .x { font-family: Fira Code }</style>'
    assert "http" not in offline_svg(svg)
    assert "Fira" not in offline_svg(svg)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "nan"),
        ("inf", "inf"),
        (3, "3"),
        (0.00031, "0.00031"),
        (1234567, "1,234,567"),
        (1e-9, "1.00e-9"),
        (1.23456, "1.235"),
    ],
)
def test_numbers_in_few_characters(value: object, text: str) -> None:
    assert number(value) == text


def test_counts_and_durations() -> None:
    assert [count(value) for value in (950, 4100, 2.3e6, 5e9)] == ["950", "4.1k", "2.3M", "5.0G"]
    assert [duration(value) for value in (45, 130, 4800, 260_000, None)] == ["45s", "2m", "80m", "3d 0h", "–"]
    assert not re.search(r"\s$", duration(7300))
