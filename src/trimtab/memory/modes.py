"""Modes: the vectors that select the question or the answer, shared by all pairs."""

from collections.abc import Sequence
from typing import Annotated, Protocol

import torch
from pydantic import Field

from trimtab.data.tokenizers import Tokenizer
from trimtab.errors import ConfigError
from trimtab.memory.engine.adam import Adam
from trimtab.memory.engine.layout import segments
from trimtab.memory.engine.losses import Modes
from trimtab.memory.engine.network import FrozenNetwork, vector_gradient
from trimtab.memory.engine.packing import pack
from trimtab.memory.engine.solve import PairTargets, Solver, SolverSettings
from trimtab.random import derive_seed


class ModeSource(Protocol):
    """Makes the two modes, from `training_pairs` further pairs that are not part of the run."""

    training_pairs: int

    def make(
        self, network: FrozenNetwork, tokenizer: Tokenizer, training: Sequence[PairTargets], settings: SolverSettings
    ) -> Modes:
        """The question's mode and the answer's."""
        ...


class RandomModes:
    """One random normal vector per mode, at the embedding's scale, drawn from the seed."""

    training_pairs = 0

    def make(
        self, network: FrozenNetwork, tokenizer: Tokenizer, training: Sequence[PairTargets], settings: SolverSettings
    ) -> Modes:
        """See `ModeSource.make`."""
        del tokenizer, training
        return self.draw(network, settings.seed)

    @staticmethod
    def draw(network: FrozenNetwork, seed: int) -> Modes:
        """The modes for a seed."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "memory", "modes"))
        drawn = torch.randn(2, 1, network.width, generator=generator) * network.scale
        return drawn[0].to(network.device), drawn[1].to(network.device)


class WordModes:
    """The embeddings of real words."""

    training_pairs = 0

    def __init__(
        self,
        *,
        question: Annotated[str, Field(min_length=1, description="the words that select the question")] = "Question:",
        answer: Annotated[str, Field(min_length=1, description="the words that select the answer")] = "Answer:",
    ) -> None:
        self.texts = (question, answer)

    def make(
        self, network: FrozenNetwork, tokenizer: Tokenizer, training: Sequence[PairTargets], settings: SolverSettings
    ) -> Modes:
        """See `ModeSource.make`. Raises `ConfigError` if one has no token or both have the same tokens."""
        del training, settings
        first, second = (torch.tensor([int(token) for token in tokenizer.encode(text)]) for text in self.texts)
        if not len(first) or not len(second) or torch.equal(first, second):
            raise ConfigError(
                f"modes: {self.texts[0]!r} and {self.texts[1]!r} must be different words with at least one token each."
            )
        return network.embedding[first].float(), network.embedding[second].float()


class LearnedModes:
    """One vector per mode, learned together with the vectors of further pairs, then fixed."""

    def __init__(
        self,
        *,
        pairs: Annotated[int, Field(ge=1, description="number of pairs to learn from; they follow the run's own")] = 16,
        steps: Annotated[
            int, Field(ge=1, description="number of updates of the modes and of these pairs' vectors")
        ] = 60,
    ) -> None:
        self.training_pairs, self.steps = pairs, steps

    def make(
        self, network: FrozenNetwork, tokenizer: Tokenizer, training: Sequence[PairTargets], settings: SolverSettings
    ) -> Modes:
        """See `ModeSource.make`."""
        drawn = RandomModes.draw(network, settings.seed)
        modes = torch.cat(drawn)
        solver = Solver(network, drawn, training, settings)
        vectors = torch.stack([solver.start(pair.id, 0) for pair in training])
        adam = Adam(settings.lr * network.scale, settings.betas)
        first, second = torch.zeros_like(vectors), torch.zeros_like(vectors)
        first_mode, second_mode = torch.zeros_like(modes[None]), torch.zeros_like(modes[None])
        packing = pack(
            [segments(pair.branches, settings.vectors, (1, 1), settings.layout) for pair in training],
            settings.vectors,
            network.device,
        )
        for step in range(1, self.steps + 1):
            _, gradient = network.cost_and_gradient(packing, modes, vectors)
            on_modes = torch.zeros_like(modes).index_add_(
                0, packing.mode_rows, gradient[packing.mode_places].to(modes.dtype)
            )
            count = torch.full((len(training),), step)
            adam.update(vectors, vector_gradient(packing, gradient, vectors.shape), first, second, count)
            adam.update(modes[None], on_modes[None] / len(training), first_mode, second_mode, count[:1])
        return modes[:1], modes[1:]
