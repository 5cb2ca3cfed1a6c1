"""The style sheet of the screens, from a palette."""

from trimtab.hud.look import Look


def css_for(look: Look) -> str:
    """The style sheet."""
    p = look.palette
    frame = "ascii" if look.ascii else "round"
    return f"""
Screen {{ background: {p.background}; color: {p.text}; overflow: hidden hidden; }}
#first {{ height: 1; background: {p.surface}; }}
#last {{ height: 1; background: {p.surface}; }}
#summary {{ display: none; height: 1fr; }}
.small #summary {{ display: block; }}
.small > * {{ display: none; }}
.small > #first, .small > #last, .small > #summary {{ display: block; }}
#fleet-body, #launch-body, #study-body, #compare-body {{ height: 1fr; }}
#panels {{ height: 1fr; layout: vertical; overflow: hidden hidden; }}
.panel {{ position: absolute; border: {frame} {p.border}; border-title-color: {p.dim}; padding: 0; background: {p.background}; }}
.panel:focus {{ border: {frame} {p.accent}; border-title-color: {p.accent}; border-title-style: bold; }}
#runs, #preview, #keys, #sections, #detail, #curves, #differences, #grid, #study-side {{
  border: {frame} {p.border}; border-title-color: {p.dim}; background: {p.background}; height: 1fr; }}
#runs:focus, #keys:focus, #sections:focus, #differences:focus, #grid:focus {{
  border: {frame} {p.accent}; border-title-color: {p.accent}; }}
#runs {{ width: 5fr; }}
#preview {{ width: 3fr; padding: 0 1; }}
.narrow #preview {{ display: none; }}
#filter, #edit {{ height: 1; border: none; background: {p.surface}; color: {p.text}; padding: 0 1; }}
#sections {{ width: 22; }}
#keys {{ width: 3fr; }}
#detail {{ width: 2fr; padding: 0 1; }}
.narrow #sections {{ display: none; }}
.narrow #detail {{ display: none; }}
.narrow.detailed #detail {{ display: block; }}
.narrow.detailed #keys {{ display: none; }}
#command {{ height: 3; background: {p.surface}; padding: 0 1; }}
#curves {{ height: 2fr; }}
#differences {{ height: 1fr; }}
#grid {{ width: 3fr; }}
#study-side {{ width: 2fr; padding: 0 1; }}
.narrow #study-side {{ display: none; }}
HelpScreen, ConfirmScreen {{ align: center middle; background: {p.background} 70%; }}
#help-box, #confirm-box {{
  width: 76; max-width: 96%; height: auto; max-height: 94%; border: {frame} {p.accent};
  background: {p.surface}; padding: 0 1; overflow: auto auto; scrollbar-size-vertical: 1; }}
"""
