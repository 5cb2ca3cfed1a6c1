"""Where the memories lie: their norms, the tokens nearest to them, and how they lie to each other."""

from typing import Any

import numpy as np

from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import plot
from trimtab.reports.memory.measures import Between, Nearest
from trimtab.reports.memory.records import Records
from trimtab.reports.memory.words import absent

KEY, TITLE = "geometry", "Geometry"


def geometry(records: Records) -> Section:
    """Norms against the vocabulary's, nearest tokens, distances between memories."""
    found = records.geometry
    if found is None:
        return absent(KEY, TITLE, "The geometry was not measured: there is no geometry.json.")
    blocks: list[Block] = []
    if found.norms is None:
        blocks.append(Text("Norms were not measured.", "missing"))
    else:
        sides = (("memory vectors", found.norms.vectors), ("vocabulary", found.norms.vocabulary))
        rows = tuple((name, *(figure(value, 3) for value in values)) for name, values in sides)
        blocks.append(Table("Norms", ("of", "least", "a quarter", "half", "three quarters", "largest"), rows))
    blocks += _nearest(found.nearest) if found.nearest else [Text("Nearest tokens were not looked up.", "missing")]
    blocks += _between(found.between) if found.between is not None else [Text("Memories were not compared.", "missing")]
    return Section(KEY, TITLE, tuple(blocks))


def _nearest(nearest: list[Nearest]) -> list[Block]:
    cosines = np.array([one.cosine for one in nearest])
    told = (
        f"The token nearest to a memory's vector has a cosine of {figure(float(np.median(cosines)), 3)} with it in the "
        f"median, and of {figure(float(cosines.max()), 3)} at most, over {len(nearest):,} vectors."
    )
    rows = tuple((one.pair, str(one.vector), repr(one.token), figure(one.cosine, 3)) for one in nearest)
    columns = ("pair", "vector", "token", "cosine")
    return [Text(told), Table("Nearest tokens", columns, rows, words=frozenset({0, 2}), folded=len(rows) > 8)]


def _between(found: Between) -> list[Block]:
    rows = (
        ("two restarts of one pair", figure(found.same_pair, 3)),
        ("memories of two pairs", figure(found.other_pair, 3)),
        ("two vectors of one memory", figure(found.within, 3)),
    )
    blocks: list[Block] = [Table("Mean cosine between", ("what", "cosine"), rows)]
    if found.distances:
        return [*blocks, Plots((_matrix(found),))]
    return [*blocks, Text("Distances between memories were not recorded.", "missing")]


def _matrix(found: Between) -> Plot:
    table = np.array(found.distances, dtype=np.float64)

    def draw(figure: Any, axes: Any) -> None:
        # vector cells and bar: an image of pixels would be a second file inside the page
        cells = axes.pcolormesh(table, cmap="viridis", edgecolors="face", linewidth=0.3)
        bar = figure.colorbar(cells, ax=axes, label="distance")
        bar.solids.set_rasterized(False)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.set_xlabel("memory, in the order of the clusters")
        axes.set_ylabel("memory")

    apart = table[~np.eye(len(table), dtype=bool)]
    apart = apart[np.isfinite(apart)]
    told = (
        f"from {apart.min():.3g} to {apart.max():.3g}, median {np.median(apart):.3g}"
        if len(apart)
        else "of one memory alone"
    )
    description = f"Distances between {len(table)} memories, in the order of their clusters: {told}."
    return plot("geometry-distances", "Distances between memories", description, draw, height=4.0)
