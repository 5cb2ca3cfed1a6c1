"""Batches from a dataset: training order as a function of position, and fixed validation batches."""

from typing import Any

import numpy as np
import torch

from trimtab.config import ConfigError, DataMix
from trimtab.data.batch import IGNORE, Batch, BatchedDataset, DrawState, GradedDataset, Item, TaskDataset
from trimtab.data.tokenizers import PAD
from trimtab.random import derive_seed


class TrainLoader:
    """A `BatchSource` of a dataset's examples, reshuffled in each epoch: a pure function of seed and position.

    Sample number p of the run is `permutation(epoch)[p % len]` with epoch = p // len, and an epoch's permutation is drawn
    from a generator seeded by (seed, "data", epoch) alone. So a run that continues at any position, also epochs later, gets
    what the uninterrupted one would; a batch that crosses the end of an epoch neither loses nor repeats an example.
    """

    def __init__(
        self, dataset: TaskDataset, batch_size: int, seed: int, *, shuffle: bool = True, pad: int = PAD
    ) -> None:
        if batch_size < 1 or len(dataset) < 1:
            raise ValueError(f"batch_size ({batch_size}) and the number of examples ({len(dataset)}) must be positive")
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.pad = pad
        self._orders: dict[int, torch.Tensor] = {}
        self._mixer: Mixer | None = None

    def indices(self, position: int, count: int) -> list[int]:
        """The dataset indices of samples `position` to `position + count - 1` of the run."""
        if position < 0 or count < 0:
            raise ValueError(f"position ({position}) and count ({count}) must not be negative")
        indices: list[int] = []
        while len(indices) < count:
            epoch, place = divmod(position + len(indices), len(self.dataset))
            end = min(place + count - len(indices), len(self.dataset))
            indices += self._order(epoch)[place:end].tolist() if self.shuffle else range(place, end)
        return indices

    def take(
        self, position: int, count: int | None = None, mix: DataMix | None = None, state: DrawState | None = None
    ) -> Batch:
        """Samples `position` to `position + count - 1` of the run as one batch (count: `batch_size` unless given).

        With a `mix` the samples come by difficulty (see `Mixer`); `state` is not read. Raises ConfigError where the dataset
        has no difficulties.
        """
        count = self.batch_size if count is None else count
        return collate_indices(self.dataset, self.chosen(position, count, mix), self.pad)

    def chosen(self, position: int, count: int, mix: DataMix | None) -> list[int]:
        """The dataset indices of samples `position` to `position + count - 1` of the run, by difficulty where there is a mix."""
        if mix is None:
            return self.indices(position, count)
        if self._mixer is None:
            self._mixer = Mixer(self.dataset, self.seed)
        return self._mixer.indices(position, count, mix)

    def _order(self, epoch: int) -> torch.Tensor:
        if epoch not in self._orders:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "data", epoch))
            # Two epochs are kept, since a batch may cross from one to the next; 32 bits halve what they take.
            self._orders = {key: order for key, order in self._orders.items() if abs(key - epoch) == 1}
            order = torch.randperm(len(self.dataset), generator=generator, dtype=torch.int64)
            self._orders[epoch] = order.to(torch.int32) if len(self.dataset) < 2**31 else order
        return self._orders[epoch]


class Mixer:
    """Draws examples by difficulty: the easiest third of a dataset, the middle one, the hardest one.

    Which third sample p comes from is decided by a number of p's own, and which example of a third by p's place in that
    third's own order (reshuffled at the end of each pass). So changed shares move only the samples that change their
    third, and shift no other. Where a third ends among equally hard examples, as with a task's levels, chance decides which
    of them are in it, and not their order in the data.

    Raises ConfigError for data that does not know how hard its examples are, or for which all are equally hard.
    """

    def __init__(self, dataset: TaskDataset, seed: int) -> None:
        if not isinstance(dataset, GradedDataset) or len(dataset) < 3:
            raise ConfigError(
                "episode.data_mix needs data that knows how hard its examples are (three examples at least); this data does "
                "not. Set episode.data_mix to null."
            )
        difficulty = dataset.difficulty()
        if difficulty.min() == difficulty.max():
            raise ConfigError(
                "episode.data_mix chooses among easier and harder examples, and all examples of this data are equally hard. Set "
                "episode.data_mix to null, or add levels to the task."
            )
        generator = torch.Generator().manual_seed(derive_seed(seed, "data", "mix", "ties"))
        order = np.lexsort((torch.randperm(len(dataset), generator=generator).numpy(), difficulty))
        self.thirds = np.array_split(order, 3)
        self.seed = seed
        self._orders: dict[tuple[int, int], torch.Tensor] = {}

    def indices(self, position: int, count: int, mix: DataMix) -> list[int]:
        """The dataset indices of samples `position` to `position + count - 1`."""
        return [self._index(sample, mix) for sample in range(position, position + count)]

    def _index(self, sample: int, mix: DataMix) -> int:
        draw = derive_seed(self.seed, "data", "mix", sample) / (1 << 63)
        third = 0 if draw < mix.easy else 2 if draw >= 1 - mix.hard else 1
        members = self.thirds[third]
        epoch, place = divmod(sample, len(members))
        if (third, epoch) not in self._orders:
            self._orders = {key: order for key, order in self._orders.items() if key[1] >= epoch - 1}
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "data", "mix", third, epoch))
            self._orders[third, epoch] = torch.randperm(len(members), generator=generator)
        return int(members[int(self._orders[third, epoch][place])])


class EvaluationLoader:
    """A `ValidationSource` of a dataset's examples: all of them in order, or `limit` of them spread evenly over it."""

    def __init__(self, dataset: TaskDataset, batch_size: int, limit: int | None = None, *, pad: int = PAD) -> None:
        if batch_size < 1 or len(dataset) < 1 or (limit is not None and limit < 1):
            raise ValueError(
                f"batch_size ({batch_size}), the number of examples ({len(dataset)}) and limit ({limit}) must be positive"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.pad = pad
        self.samples = len(dataset) if limit is None else min(limit, len(dataset))

    def take(self, position: int, count: int, mix: DataMix | None = None, state: DrawState | None = None) -> Batch:
        """Validation samples `position` to `position + count - 1`, fewer at the end; `mix` and `state` are not read."""
        numbers = range(position, min(position + count, self.samples))
        indices = [number * len(self.dataset) // self.samples for number in numbers]
        return collate_indices(self.dataset, indices, self.pad)


def collate_indices(dataset: TaskDataset, indices: list[int], pad: int = PAD) -> Batch:
    """The examples of `indices` as one batch; `metadata["index"]` holds the indices."""
    if isinstance(dataset, BatchedDataset):
        return dataset.batch(indices, pad)
    batch = collate([dataset[index] for index in indices], pad)
    batch.metadata["index"] = list(indices)
    return batch


def collate(items: list[Item], pad: int = PAD) -> Batch:
    """Examples of uneven lengths as one batch: ids filled up with `pad`, labels with IGNORE.

    The mask is None when all are of one length. Each key of the metadata becomes a list with one entry per example, None
    where an example does not have it; what is under `aligned` becomes padded tensors (see `Batch`).
    """
    lengths = [len(item["input_ids"]) for item in items]
    longest = max(lengths)
    ids = torch.full((len(items), longest), pad, dtype=torch.int64)
    labels = torch.full((len(items), longest), IGNORE, dtype=torch.int64)
    for row, (item, length) in enumerate(zip(items, lengths, strict=True)):
        if len(item["labels"]) != length:
            raise ValueError(f"an example has {length} input_ids and {len(item['labels'])} labels; they must align")
        ids[row, :length] = item["input_ids"]
        labels[row, :length] = item["labels"]
    mask = None if min(lengths) == longest else torch.arange(longest) < torch.tensor(lengths)[:, None]
    keys = dict.fromkeys(key for item in items for key in item["metadata"] if key != "aligned")
    metadata: dict[str, Any] = {key: [item["metadata"].get(key) for item in items] for key in keys}
    return Batch(ids, labels, mask, metadata, _aligned(items, longest))


_FILL = {"place": -1}
"""Fill values of padding positions; 0 for all other names."""


def _aligned(items: list[Item], longest: int) -> dict[str, torch.Tensor]:
    """The tensors of all items' `aligned` metadata, padded to `longest` positions and to the widest further dimensions."""
    padded: dict[str, torch.Tensor] = {}
    each = [item["metadata"].get("aligned", {}) for item in items]
    for name in dict.fromkeys(name for aligned in each for name in aligned):
        tensors = [aligned.get(name) for aligned in each]
        known = [tensor for tensor in tensors if tensor is not None]
        beyond = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in known), strict=True)]
        whole = torch.full((len(items), longest, *beyond), _FILL.get(name, 0), dtype=known[0].dtype)
        for row, (item, tensor) in enumerate(zip(items, tensors, strict=True)):
            if tensor is None:
                continue
            if len(tensor) != len(item["input_ids"]):
                raise ValueError(
                    f"an example has {len(item['input_ids'])} input_ids and {len(tensor)} entries of '{name}'; they must align"
                )
            whole[row][tuple(slice(size) for size in tensor.shape)] = tensor
        padded[name] = whole
    return padded
