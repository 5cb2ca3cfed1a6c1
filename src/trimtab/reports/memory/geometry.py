"""The geometry of the memories: norms, nearest tokens, and distances between memories."""

from typing import Any

import numpy as np

from trimtab.records.memory_measurements import MemoryDistances, Nearest
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import plot
from trimtab.reports.memory.records import MemoryRecords
from trimtab.reports.memory.words import absent

KEY, TITLE = "geometry", "Geometry"


def geometry(records: MemoryRecords) -> Section:
    """Norms compared with those of the vocabulary, nearest tokens, and distances between memories."""
    record = records.geometry
    if record is None:
        return absent(KEY, TITLE, "The geometry was not measured: there is no geometry.json.")
    blocks: list[Block] = []
    if record.norms is None:
        blocks.append(Text("Norms were not measured.", "missing"))
    else:
        sides = (("memory vectors", record.norms.vectors), ("vocabulary", record.norms.vocabulary))
        rows = tuple((name, *(figure(value, 3) for value in values)) for name, values in sides)
        blocks.append(Table("Norms", ("of", "smallest", "25%", "median", "75%", "largest"), rows))
    blocks += _nearest(record.nearest) if record.nearest else [Text("Nearest tokens were not looked up.", "missing")]
    blocks += (
        _between(record.between) if record.between is not None else [Text("Memories were not compared.", "missing")]
    )
    return Section(KEY, TITLE, tuple(blocks))


def _nearest(nearest: list[Nearest]) -> list[Block]:
    cosines = np.array([one.cosine for one in nearest])
    summary = (
        f"The cosine between a memory's vector and its nearest token: median {figure(float(np.median(cosines)), 3)}, largest "
        f"{figure(float(cosines.max()), 3)}, over {len(nearest):,} vectors."
    )
    rows = tuple((one.pair, str(one.vector), repr(one.token), figure(one.cosine, 3)) for one in nearest)
    columns = ("pair", "vector", "token", "cosine")
    return [Text(summary), Table("Nearest tokens", columns, rows, words=frozenset({0, 2}), folded=len(rows) > 8)]


def _between(between: MemoryDistances) -> list[Block]:
    rows = (
        ("two restarts of one pair", figure(between.same_pair, 3)),
        ("memories of two pairs", figure(between.other_pair, 3)),
        ("two vectors of one memory", figure(between.within, 3)),
    )
    blocks: list[Block] = [Table("Mean cosine between", ("pair of vectors", "cosine"), rows)]
    if between.distances:
        return [*blocks, Plots((_matrix(between),))]
    return [*blocks, Text("Distances between memories were not recorded.", "missing")]


def _matrix(between: MemoryDistances) -> Plot:
    table = np.array(between.distances, dtype=np.float64)

    def draw(figure: Any, axes: Any) -> None:
        # vector cells and bar: an image of pixels would be a second file inside the page
        cells = axes.pcolormesh(table, cmap="viridis", edgecolors="face", linewidth=0.3)
        bar = figure.colorbar(cells, ax=axes, label="distance")
        bar.solids.set_rasterized(False)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.set_xlabel("memory, in cluster order")
        axes.set_ylabel("memory")

    apart = table[~np.eye(len(table), dtype=bool)]
    apart = apart[np.isfinite(apart)]
    summary = (
        f"from {apart.min():.3g} to {apart.max():.3g}, median {np.median(apart):.3g}"
        if len(apart)
        else "of one memory alone"
    )
    description = f"Distances between {len(table)} memories, in cluster order: {summary}."
    return plot("geometry-distances", "Distances between memories", description, draw, height=4.0)
