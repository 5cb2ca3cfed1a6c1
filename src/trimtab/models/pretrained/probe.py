"""The probe of a network: a few random tokens, read in every way that Trimtab uses, must give the same logits.

It runs on a copy that shares the weights, in evaluation mode and in fp32 whatever type the files have, so the network, its mode
and torch's random state do not change.
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
from trimtab.models.pretrained.forward import network_logits, takes_positions
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
"""The largest difference due to rounding to bf16, in standard deviations; correct networks have less than half of it."""

_TOKENS = 12
_WINDOW = 4
"""Longer attention windows are shortened to this in the copy, so that a few tokens exceed them."""
_WINDOWS = ("sliding_window", "attention_chunk_size")
_UNBOUNDED = 2048
"""The largest position that is tried in networks without a limit."""


@dataclass(frozen=True)
class ProbeResult:
    """The result of a probe.

    `failures` has a sentence for every property that the network lacks, by the property's name. `context` is the longest
    sequence in which a row's logits do not depend on other rows, None if the network has no limit. `drops_rows` says whether
    rows can be removed from its cache.
    """

    context: int | None
    failures: dict[str, str] = field(default_factory=dict)
    drops_rows: bool = True


class _MissingPropertyError(DataError):
    """The sentence for a property that a network lacks."""


def probe(network: nn.Module) -> ProbeResult:
    """Check a network, with the weights that it was loaded with, for the properties that Trimtab needs.

    Properties: `reading`, `positions`, `causality`, `right padding`, `left padding`, `cache`, `bf16` and `export`. The last two
    are checked only if the others hold.
    """
    failures: dict[str, str] = {}
    context = positions_of(network)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        copy = structural_copy(network)
        _cut_windows(copy)
        with _record_failure("reading", failures), in_precision(copy, fp32):
            context, rows = _check_readings(copy, failures)
        if not failures:
            with _record_failure("bf16", failures):
                _check_bf16(rows)
            with _record_failure("export", failures):
                if (different := export_difference(network)) is not None:
                    raise _MissingPropertyError(f"an exported folder would hold a different model: {different}")
    return ProbeResult(context, failures, drops_rows=not failures and rows.drops_rows)


class _Rows:
    """A short row, its logits alone, and a longer row for the same batch; all within a context."""

    def __init__(self, network: nn.Module, context: int | None) -> None:
        self.network, self.drops_rows = network, True
        self.tokens = int(network.get_input_embeddings().weight.shape[0])  # type: ignore[operator]
        self.width = min(_TOKENS, context or _TOKENS)
        self.short = max(1, 2 * self.width // 3)
        ids = torch.randint(0, self.tokens, (2, self.width), generator=torch.Generator().manual_seed(0))
        self.row, self.longer = ids[0, : self.short], ids[1]
        self.alone = self.logits(self.row[None])[0]

    def logits(self, ids: Tensor, real: Tensor | None = None, **options: Any) -> Tensor:
        """The logits of a batch."""
        return network_logits(self.network, ids, real, **options)

    def padded(self) -> tuple[Tensor, Tensor, dict[str, slice]]:
        """A batch of the longer row and the short row padded on either side; the mask of real tokens; where the short row is."""
        places = {"right": slice(0, self.short), "left": slice(self.width - self.short, self.width)}
        rows, real = torch.stack((self.longer, *(self.longer.flip(0) for _ in places))), torch.ones(3, self.width)
        for number, place in enumerate(places.values(), 1):
            rows[number, place], real[number] = self.row, 0
            real[number, place] = 1
        return rows, real.bool(), places


def _check_readings(network: nn.Module, failures: dict[str, str]) -> tuple[int | None, _Rows]:
    """Add the properties that a network lacks to `failures`; returns the context that was used, and the rows."""
    longest = positions_of(network)
    shorter = {n for n in _original_lengths(getattr(network, "config").to_dict()) if n < (longest or n + 1)}  # noqa: B009 - as below
    for context in (longest, *sorted(shorter, reverse=True)):
        rows, in_context = _Rows(network, context), dict[str, str]()
        with _record_failure("positions", in_context):
            _check_neighbours(rows, context or _UNBOUNDED, in_context)
        if "positions" not in in_context:
            break
    failures.update(in_context)
    with _record_failure("padding", failures):
        batch, real, places = rows.padded()
        logits = rows.logits(batch, real)
        for number, (side, place) in enumerate(places.items(), 1):
            with _record_failure(f"{side} padding", failures):
                _expect(
                    distance(logits[number, place], rows.alone),
                    f"a row padded on the {side} has other logits than alone",
                )
    with _record_failure("cache", failures):
        _check_cache(rows)
    return context, rows


def _check_neighbours(rows: _Rows, end: int, failures: dict[str, str]) -> None:
    """Check that a row's logits depend neither on its later tokens nor on other rows, wherever in the context those are.

    Rotary positions that are rescaled beyond an original length (longrope, dynamic NTK) depend on the longest row of a batch.
    """
    cut = max(1, rows.short // 2)
    changed = rows.row.clone()
    changed[cut:] = (changed[cut:] + rows.tokens // 2) % rows.tokens
    ids = torch.stack((rows.row, changed, rows.longer[: rows.short]))
    options = {}
    if takes_positions(rows.network):
        near = torch.arange(rows.short)
        options["position_ids"] = torch.stack((near, near, near + end - rows.short))
    both = rows.logits(ids, torch.ones_like(ids), **options)
    with _record_failure("causality", failures):
        difference = distance(both[1, :cut], both[0, :cut])
        _expect(difference, "a token's logits change with the tokens after it, so this is not a causal language model")
    _expect(
        distance(both[0], rows.alone),
        f"a row has other logits than alone when other rows are at other positions (below {end})",
    )


def _check_cache(rows: _Rows) -> None:
    """Check reading in parts with a cache, alone and padded, and whether other rows can be dropped from the cache."""
    cache, cut = empty_cache(rows.network), max(1, rows.short // 2)
    spans = [(0, cut), (cut, rows.short)] if cut < rows.short else [(0, cut)]
    parts = [rows.logits(rows.row[None, i:j], past_key_values=cache, use_cache=True)[0] for i, j in spans]
    difference = distance(torch.cat(parts), rows.alone)
    _expect(difference, "reading in parts with a key-value cache gives other logits than reading the whole")
    batch, real, places = rows.padded()
    batch, real, start = batch[[0, 2]], real[[0, 2]], places["left"].start
    cut = max(start + 1, rows.width - 3)
    options = {"past_key_values": empty_cache(rows.network), "use_cache": True}
    first = rows.logits(batch[:, :cut], real[:, :cut], **options)[1, -1]
    difference = distance(first, rows.alone[cut - start - 1])
    _expect(difference, "with a key-value cache a row padded on the left has other logits than alone")
    if cut == rows.width:
        return
    row_failure: dict[str, str] = {}
    with _record_failure("rows", row_failure):
        options["past_key_values"].batch_select_indices(torch.tensor([1]))
        rest = rows.logits(batch[1:, cut:], real[1:], last=True, **options)[0, 0]
        _expect(distance(rest, rows.alone[-1]), "a key-value cache gives other logits once other rows are dropped")
    if row_failure:
        rows.drops_rows = False
        options["past_key_values"] = empty_cache(rows.network)
        rows.logits(batch[:, :cut], real[:, :cut], **options)
        rest = rows.logits(batch[:, cut:], real, last=True, **options)[1, 0]
        _expect(
            distance(rest, rows.alone[-1]), "a key-value cache gives other logits for the next tokens of a padded row"
        )


def _check_bf16(rows: _Rows) -> None:
    """Check that bf16 as Trimtab computes it is close to fp32, or about as close as the whole network in bf16."""
    with in_precision(rows.network, _narrow):
        ours = typical_distance(rows.logits(rows.row[None], dtype=torch.bfloat16)[0].float(), rows.alone)
    if ours < _ROUNDED:
        return
    with in_precision(rows.network, lambda parameter: torch.bfloat16):
        whole = typical_distance(rows.logits(rows.row[None])[0].float(), rows.alone)
    if not ours < 2 * whole:
        raise _MissingPropertyError(
            f"in bf16 its logits are {ours:.2g} standard deviations from those in fp32 (the whole network in bf16: {whole:.2g})"
        )


def empty_cache(network: nn.Module) -> Any:
    """An empty key-value cache of transformers."""
    return offline_import("transformers").DynamicCache(config=getattr(network, "config"))  # noqa: B009 - as above


def _expect(difference: float, sentence: str) -> None:
    if not difference < TOLERANCE:
        raise _MissingPropertyError(f"{sentence} ({difference:.2g} standard deviations)")


@contextmanager
def _record_failure(name: str, failures: dict[str, str]) -> Iterator[None]:
    """Record the failure of the block under a name."""
    try:
        with foreign(_MissingPropertyError, lambda reason: f"the forward pass fails: {reason}"):
            yield
    except _MissingPropertyError as error:
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


def _original_lengths(config: Any) -> Iterator[int]:
    """Every original length of scaled rotary positions in a config, also in nested mappings."""
    if isinstance(config, dict):
        for name, value in config.items():
            if name == "original_max_position_embeddings" and type(value) is int and value > 1:
                yield value
            yield from _original_lengths(value)
