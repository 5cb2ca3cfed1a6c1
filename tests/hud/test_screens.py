"""The screens on the recorded run, in Textual's test terminal, without the poller's thread."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.hud.conftest import write_demo
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


@pytest.mark.slow
def test_two_hundred_random_sizes_raise_nothing_and_nothing_is_wider_than_the_screen(demo_runs: Path) -> None:
    rng = random.Random(0)

    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        app.select(demo_runs / "routes")
        for number in range(200):
            if number % 20 == 0:
                await pilot.press(rng.choice("12345"))
            await pilot.resize_terminal(rng.randint(20, 240), rng.randint(5, 70))
            await settled(app, pilot)
            shown(app)

    on_screen(demo_runs, (120, 36), script)


def test_marking_two_runs_and_comparing_them_shows_their_differences(tmp_path: Path) -> None:
    routes = write_demo(tmp_path / "routes")

    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        app.marked = [routes / "think", routes / "layer"]
        await pilot.press("4")
        for _ in range(50):
            await settled(app, pilot)
            if "first difference" in shown(app):
                break
        text = shown(app)
        assert "2 runs over steps" in text
        assert "episode.steps" in text
        assert "no step in common" in text

    on_screen(tmp_path, (150, 40), script)


def test_the_screen_is_written_as_a_picture_that_loads_nothing(tmp_path: Path) -> None:
    write_demo(tmp_path / "routes")

    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        await pilot.press("S")
        await pilot.pause()

    on_screen(tmp_path, (120, 36), script)
    (picture,) = (tmp_path / ".hud").glob("*.svg")
    svg = picture.read_text(encoding="utf-8")
    assert "routes" in svg
    assert "url(http" not in svg
    assert "@font-face" not in svg


def test_keys_on_a_run_that_cannot_be_stopped_or_forked_say_why(demo_runs: Path) -> None:
    async def script(app: HudApp, pilot: "Pilot[None]") -> None:
        app.select(demo_runs / "routes")
        for key, words in (("x", "No process is writing"), ("F", "Only training runs can be forked")):
            await pilot.press(key)
            await pilot.pause()
            assert words in app.note

    on_screen(demo_runs, (120, 36), script)


def test_the_screen_loads_no_torch(demo_runs: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from trimtab.hud.app import HudApp; from trimtab.hud.look import Look\n"
        "async def run():\n"
        f"    app = HudApp(Path({str(demo_runs)!r}), Look())\n"
        "    async with app.run_test(size=(120, 36)) as pilot:\n"
        "        for key in '12451':\n"
        "            await pilot.press(key)\n"
        "            await pilot.pause()\n"
        "asyncio.run(run())\n"
        "assert not {'torch', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
