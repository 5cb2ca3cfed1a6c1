"""The screens on the recorded run, in Textual's test terminal, without the poller's thread."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from trimtab.hud.app import HudApp
from trimtab.hud.look import Look
from trimtab.hud.panels import panels_for
from trimtab.hud.widgets import PanelBox

Script = Callable[[HudApp, "Pilot[None]"], Awaitable[None]]


def on_screen(runs: Path, size: tuple[int, int], script: Script, look: Look | None = None) -> HudApp:
    """Run a script on the app over a folder of runs; whatever the app raises is raised here."""
    app = HudApp(runs, look or Look(), poll=False)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await script(app, pilot)

    asyncio.run(run())
    return app


async def settled(app: HudApp, pilot: "Pilot[None]") -> None:
    """Read and draw until nothing changes."""
    for _ in range(3):
        app.poll_once()
        app.redraw()
        await pilot.pause()


def shown(app: HudApp) -> str:
    """The characters of the screen, line by line."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip) for strip in strips]
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    return "\n".join(lines)


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (40, 12)])
def test_the_fleet_lists_the_run_at_every_size(demo_runs: Path, size: tuple[int, int]) -> None:
    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        await settled(app, pilot)
        text = shown(app)
        assert "routes" in text
        assert "thinking" in text
        assert ("PREVIEW" in text) == (size[0] >= 100)

    on_screen(demo_runs, size, script)


def test_the_run_screen_has_the_metacognitive_panels(demo_runs: Path) -> None:
    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        await settled(app, pilot)
        await pilot.press("enter")
        await settled(app, pilot)
        text = shown(app)
        for words in ("LOSS", "SHARES OF THE BLOCKS", "PLAN", "BUDGET", "CONFIDENCE", "GATE", "PUZZLES", "max_len 112"):
            assert words in text
        assert "part layer" in text
        await pilot.press("p")
        await settled(app, pilot)
        assert "part think" in shown(app)

    on_screen(demo_runs, (120, 36), script)


def test_every_panel_of_the_run_is_reached_with_tab_and_can_be_maximised(demo_runs: Path) -> None:
    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        app.select(demo_runs / "routes")
        await pilot.press("2")
        await settled(app, pilot)
        view = app.poller.view(demo_runs / "routes")
        names = {panel.name for panel in panels_for(view)}
        reached = set()
        for _ in names:
            await pilot.press("tab")
            await settled(app, pilot)
            box = app.screen.focused
            assert isinstance(box, PanelBox)
            assert box.display
            reached.add(box.panel.name)
            await pilot.press("z")
            await settled(app, pilot)
            assert box.size.width > 70
            await pilot.press("z")
        assert reached == names

    on_screen(demo_runs, (80, 24), script)


def test_small_terminals_get_a_summary_in_words(demo_runs: Path) -> None:
    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        await settled(app, pilot)
        assert "routes, thinking, completed" in shown(app)

    on_screen(demo_runs, (50, 10), script)


def test_zoom_crosshair_and_logarithm_change_the_chart(demo_runs: Path) -> None:
    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        app.select(demo_runs / "routes")
        await pilot.press("2")
        await settled(app, pilot)
        before = shown(app)
        for key, words in (("L", "log"), ("v", "at "), ("plus", ""), ("left_square_bracket", ""), ("e", ""), ("a", "")):
            await pilot.press(key)
            await settled(app, pilot)
            after = shown(app)
            assert after != before
            assert words in after
            before = after

    on_screen(demo_runs, (120, 36), script)


def test_the_help_names_every_key_of_the_screen(demo_runs: Path) -> None:
    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        text = shown(app)
        assert "mark for comparison" in text
        assert "stop the run after a checkpoint" in text
        await pilot.press("escape")
        await pilot.pause()
        assert "RUNS" in shown(app)

    on_screen(demo_runs, (120, 50), script)


def test_screens_can_be_left_and_entered_again(demo_runs: Path) -> None:
    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        for key, words in (
            ("2", "LOSS"),
            ("1", "RUNS"),
            ("4", "DIFFERING"),
            ("2", "LOSS"),
            ("5", "PARTS"),
            ("1", "RUNS"),
        ):
            await pilot.press(key)
            await settled(app, pilot)
            assert words in shown(app)

    on_screen(demo_runs, (120, 36), script)
