"""The vectors that tell a question from an answer, shared by all pairs."""

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
from trimtab.memory.engine.solve import Settings, Solver, SolverTask
from trimtab.random import derive_seed


class ModeSource(Protocol):
    """Makes the two modes. `training_pairs` are how many pairs, none of them the run's, it learns from."""

    training_pairs: int

    def make(
        self, network: FrozenNetwork, tokenizer: Tokenizer, training: Sequence[SolverTask], settings: Settings
    ) -> Modes:
        """The question's mode and the answer's."""
        ...


class RandomModes:
    """One normal vector each, at the embedding's scale, drawn once for a seed."""

    training_pairs = 0

    def make(
        self, network: FrozenNetwork, tokenizer: Tokenizer, training: Sequence[SolverTask], settings: Settings
    ) -> Modes:
        """See `ModeSource.make`."""
        del tokenizer, training
        return self.drawn(network, settings.seed)

    @staticmethod
    def drawn(network: FrozenNetwork, seed: int) -> Modes:
        """The modes of a seed."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "memory", "modes"))
        drawn = torch.randn(2, 1, network.width, generator=generator) * network.scale
        return drawn[0].to(network.device), drawn[1].to(network.device)


class WordModes:
    """The embeddings of real words, in the place of one vector each."""

    training_pairs = 0

    def __init__(
        self,
        *,
        question: Annotated[
            str, Field(min_length=1, description="the words that stand for the question")
        ] = "Question:",
        answer: Annotated[str, Field(min_length=1, description="the words that stand for the answer")] = "Answer:",
    ) -> None:
        self.texts = (question, answer)

    def make(
        self, network: FrozenNetwork, tokenizer: Tokenizer, training: Sequence[SolverTask], settings: Settings
    ) -> Modes:
        """See `ModeSource.make`. Raises `ConfigError` for words that are no tokens, or the same ones."""
        del training, settings
        first, second = (torch.tensor([int(token) for token in tokenizer.encode(text)]) for text in self.texts)
        if not len(first) or not len(second) or torch.equal(first, second):
            raise ConfigError(
                f"modes: {self.texts[0]!r} and {self.texts[1]!r} must be different words of one token at least."
            )
        return network.embedding[first].float(), network.embedding[second].float()


class LearnedModes:
    """One vector each, learned together with the vectors of pairs that are not the run's, then fixed."""

    def __init__(
        self,
        *,
        pairs: Annotated[int, Field(ge=1, description="pairs to learn from, those after the run's own")] = 16,
        steps: Annotated[int, Field(ge=1, description="updates of the modes and of these pairs' vectors")] = 60,
    ) -> None:
        self.training_pairs, self.steps = pairs, steps

    def make(
        self, network: FrozenNetwork, tokenizer: Tokenizer, training: Sequence[SolverTask], settings: Settings
    ) -> Modes:
        """See `ModeSource.make`."""
        drawn = RandomModes.drawn(network, settings.seed)
        modes = torch.cat(drawn)
        solver = Solver(network, drawn, training, settings)
        vectors = torch.stack([solver.start(task.pair, 0) for task in training])
        adam = Adam(settings.lr * network.scale, settings.betas)
        first, second = torch.zeros_like(vectors), torch.zeros_like(vectors)
        first_mode, second_mode = torch.zeros_like(modes[None]), torch.zeros_like(modes[None])
        packing = pack(
            [segments(task.branches, settings.vectors, (1, 1), settings.layout) for task in training],
            settings.vectors,
            network.device,
        )
        for step in range(1, self.steps + 1):
            _, pulled = network.differentiated(packing, modes, vectors)
            on_modes = torch.zeros_like(modes).index_add_(
                0, packing.mode_rows, pulled[packing.mode_places].to(modes.dtype)
            )
            count = torch.full((len(training),), step)
            adam.update(vectors, vector_gradient(packing, pulled, vectors.shape), first, second, count)
            adam.update(modes[None], on_modes[None] / len(training), first_mode, second_mode, count[:1])
        return modes[:1], modes[1:]
