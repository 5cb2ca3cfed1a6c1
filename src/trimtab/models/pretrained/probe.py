"""What a network is measured for when its model is opened: a few random tokens, read in every way that Trimtab reads text.

The measurements run on a copy that shares the weights, in evaluation mode and in fp32 whatever the files hold, so the network
itself, its mode and torch's random state stay as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trimtab.boundary import foreign
from trimtab.config.offline import offline_import
from trimtab.errors import DataError
from trimtab.models.pretrained.forward import read_network, takes_positions
from trimtab.models.pretrained.loading import positions_of
from trimtab.models.pretrained.logit_comparison import (
    TOLERANCE,
    distance,
    fp32,
    in_precision,
    structural_copy,
    typical_distance,
)
from trimtab.models.pretrained.saving import export_difference

_ROUNDED = 0.05
"""The difference that rounding to bf16 makes, in standard deviations: right networks have less than half of it."""

_TOKENS = 12
_WINDOW = 4
"""Longer attention windows are cut to this in the copy, so that a few tokens reach past them."""
_WINDOWS = ("sliding_window", "attention_chunk_size")
_UNBOUNDED = 2048
"""Positions that are tried in networks that name no bound."""


@dataclass(frozen=True)
class Probe:
    """What was measured.

    `failures` has a sentence for every property that the network lacks, by the property's name. `context` is the longest
    sequence whose positions do not depend on other rows, None where the network names no bound. `drops_rows` says whether rows
    may be taken out of its cache.
    """

    context: int | None
    failures: dict[str, str] = field(default_factory=dict)
    drops_rows: bool = True


class _FailedError(DataError):
    """A property that a network lacks, in one sentence."""


def probe(network: nn.Module) -> Probe:
    """Measure a network with the weights that it was loaded with.

    Properties: `reading`, `positions`, `causality`, `rows`, `right padding`, `left padding`, `cache`, `bf16` and `export`. The
    last two are measured where the others hold.
    """
    failures: dict[str, str] = {}
    context = positions_of(network)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        twin = structural_copy(network)
        _cut_windows(twin)
        with _failing("reading", failures), in_precision(twin, fp32):
            context, rows = _read_every_way(twin, failures)
        if not failures:
            with _failing("bf16", failures):
                _check_bf16(rows)
            with _failing("export", failures):
                if (different := export_difference(network)) is not None:
                    raise _FailedError(f"a written folder would hold another model: {different}")
    return Probe(context, failures, drops_rows=not failures and rows.drops_rows)


class _Rows:
    """A short row, its logits alone, and a longer row to put beside it; all within a context."""

    def __init__(self, network: nn.Module, context: int | None) -> None:
        self.network, self.drops_rows = network, True
        self.tokens = int(network.get_input_embeddings().weight.shape[0])  # type: ignore[operator]
        self.wide = min(_TOKENS, context or _TOKENS)
        self.short = max(1, 2 * self.wide // 3)
        made = torch.randint(0, self.tokens, (2, self.wide), generator=torch.Generator().manual_seed(0))
        self.row, self.beside = made[0, : self.short], made[1]
        self.alone = self.read(self.row[None])[0]

    def read(self, ids: Tensor, real: Tensor | None = None, **options: Any) -> Tensor:
        """The logits of a batch."""
        return read_network(self.network, ids, real, **options)

    def padded(self) -> tuple[Tensor, Tensor, dict[str, slice]]:
        """The longer row, and the short one with arbitrary tokens as padding on the right and on the left; which tokens are
        real; where the short row is."""
        places = {"right": slice(0, self.short), "left": slice(self.wide - self.short, self.wide)}
        rows, real = torch.stack((self.beside, *(self.beside.flip(0) for _ in places))), torch.ones(3, self.wide)
        for number, place in enumerate(places.values(), 1):
            rows[number, place], real[number] = self.row, 0
            real[number, place] = 1
        return rows, real.bool(), places


def _read_every_way(network: nn.Module, failures: dict[str, str]) -> tuple[int | None, _Rows]:
    """Adds the properties that a network lacks to `failures`; returns the context within which it was read, and its rows."""
    longest = positions_of(network)
    shorter = {n for n in _values(getattr(network, "config").to_dict()) if n < (longest or n + 1)}  # noqa: B009 - as below
    for context in (longest, *sorted(shorter, reverse=True)):
        rows, found = _Rows(network, context), dict[str, str]()
        with _failing("positions", found):
            _check_neighbours(rows, context or _UNBOUNDED, found)
        if "positions" not in found:
            break
    failures.update(found)
    with _failing("padding", failures):
        batch, real, places = rows.padded()
        logits = rows.read(batch, real)
        for number, (side, place) in enumerate(places.items(), 1):
            with _failing(f"{side} padding", failures):
                _expect(
                    distance(logits[number, place], rows.alone),
                    f"a row padded on the {side} has other logits than alone",
                )
    with _failing("cache", failures):
        _check_cache(rows)
    return context, rows


def _check_neighbours(rows: _Rows, end: int, failures: dict[str, str]) -> None:
    """A row's logits depend neither on its later tokens nor on the other rows, wherever in the context those are.

    Rotary positions that change beyond an original length (longrope, dynamic NTK) depend on the longest row of a batch.
    """
    cut = max(1, rows.short // 2)
    changed = rows.row.clone()
    changed[cut:] = (changed[cut:] + rows.tokens // 2) % rows.tokens
    ids = torch.stack((rows.row, changed, rows.beside[: rows.short]))
    options = {}
    if takes_positions(rows.network):
        near = torch.arange(rows.short)
        options["position_ids"] = torch.stack((near, near, near + end - rows.short))
    both = rows.read(ids, torch.ones_like(ids), **options)
    with _failing("causality", failures):
        apart = distance(both[1, :cut], both[0, :cut])
        _expect(apart, "a token's logits change with the tokens after it, so this is no causal language model")
    _expect(
        distance(both[0], rows.alone), f"a row has other logits beside rows at other positions (below {end}) than alone"
    )


def _check_cache(rows: _Rows) -> None:
    """Reading in parts with a cache, alone or padded, gives the same; finds out whether the other rows may be dropped."""
    cache, cut = empty_cache(rows.network), max(1, rows.short // 2)
    spans = [(0, cut), (cut, rows.short)] if cut < rows.short else [(0, cut)]
    parts = [rows.read(rows.row[None, i:j], past_key_values=cache, use_cache=True)[0] for i, j in spans]
    apart = distance(torch.cat(parts), rows.alone)
    _expect(apart, "reading in parts with a key-value cache gives other logits than reading the whole")
    batch, real, places = rows.padded()
    batch, real, start = batch[[0, 2]], real[[0, 2]], places["left"].start
    cut = max(start + 1, rows.wide - 3)
    options = {"past_key_values": empty_cache(rows.network), "use_cache": True}
    first = rows.read(batch[:, :cut], real[:, :cut], **options)[1, -1]
    apart = distance(first, rows.alone[cut - start - 1])
    _expect(apart, "with a key-value cache a row padded on the left has other logits than alone")
    if cut == rows.wide:
        return
    without: dict[str, str] = {}
    with _failing("rows", without):
        options["past_key_values"].batch_select_indices(torch.tensor([1]))
        rest = rows.read(batch[1:, cut:], real[1:], last=True, **options)[0, 0]
        _expect(distance(rest, rows.alone[-1]), "a key-value cache gives other logits once other rows are dropped")
    if without:
        rows.drops_rows = False
        options["past_key_values"] = empty_cache(rows.network)
        rows.read(batch[:, :cut], real[:, :cut], **options)
        rest = rows.read(batch[:, cut:], real, last=True, **options)[1, 0]
        _expect(
            distance(rest, rows.alone[-1]), "a key-value cache gives other logits for the next tokens of a padded row"
        )


def _check_bf16(rows: _Rows) -> None:
    """bf16 as Trimtab computes it is near fp32, or at least about as near as all of the network in bf16."""
    with in_precision(rows.network, _narrow):
        ours = typical_distance(rows.read(rows.row[None], dtype=torch.bfloat16)[0].float(), rows.alone)
    if ours < _ROUNDED:
        return
    with in_precision(rows.network, lambda parameter: torch.bfloat16):
        whole = typical_distance(rows.read(rows.row[None])[0].float(), rows.alone)
    if not ours < 2 * whole:
        raise _FailedError(
            f"in bf16 its logits are {ours:.2g} standard deviations from those in fp32 (all of it in bf16: {whole:.2g})"
        )


def empty_cache(network: nn.Module) -> Any:
    """A key-value cache of transformers that holds nothing yet."""
    return offline_import("transformers").DynamicCache(config=getattr(network, "config"))  # noqa: B009 - as above


def _expect(apart: float, sentence: str) -> None:
    if not apart < TOLERANCE:
        raise _FailedError(f"{sentence} ({apart:.2g} standard deviations)")


@contextmanager
def _failing(name: str, failures: dict[str, str]) -> Iterator[None]:
    """Keep what the block fails by under a name."""
    try:
        with foreign(_FailedError, lambda reason: f"it cannot be read so: {reason}"):
            yield
    except _FailedError as error:
        failures[name] = str(error)


def _narrow(parameter: Tensor) -> torch.dtype:
    return torch.bfloat16 if parameter.ndim >= 2 else torch.float32


def _cut_windows(network: nn.Module) -> None:
    owners: list[Any] = [*network.modules(), *(m.config for m in network.modules() if hasattr(m, "config"))]
    for owner in owners:
        for name in _WINDOWS:
            window = getattr(owner, name, None)
            if isinstance(window, int) and window > _WINDOW:
                setattr(owner, name, _WINDOW)


def _values(said: Any) -> Iterator[int]:
    """Every original length of rotary positions that a config names, in nested mappings too."""
    if isinstance(said, dict):
        for name, value in said.items():
            if name == "original_max_position_embeddings" and type(value) is int and value > 1:
                yield value
            yield from _values(value)
