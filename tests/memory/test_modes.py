"""The three sources of modes: random, words, learned."""

from pathlib import Path

import pytest
import torch

from trimtab.config import ConfigError
from trimtab.data import PretrainedTokenizer
from trimtab.memory.engine.losses import losses_under_vectors
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.engine.solve import PairTargets, SolverSettings
from trimtab.memory.modes import LearnedModes, RandomModes, WordModes
from trimtab.memory.pairs import Pair, encode_pairs
from trimtab.memory.protocol.baselines import branches_of


@pytest.fixture(scope="module")
def network(model_folder: Path) -> FrozenNetwork:
    return FrozenNetwork(path=str(model_folder))


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> PretrainedTokenizer:
    return PretrainedTokenizer(path=str(model_folder))


def test_random_modes_have_the_embeddings_scale_and_depend_on_the_seed(network, tokenizer) -> None:
    first, second = RandomModes().make(network, tokenizer, (), SolverSettings(seed=1))
    again = RandomModes().make(network, tokenizer, (), SolverSettings(seed=1))
    other = RandomModes().make(network, tokenizer, (), SolverSettings(seed=2))
    assert torch.equal(first, again[0]) and not torch.equal(first, other[0]) and not torch.equal(first, second)
    assert float(torch.cat((first, second)).std()) == pytest.approx(network.scale, rel=0.3)


def test_word_modes_are_the_embeddings_of_the_words(network, tokenizer) -> None:
    modes = WordModes(question="ab", answer="z").make(network, tokenizer, (), SolverSettings())
    for mode, text in zip(modes, ("ab", "z"), strict=True):
        assert torch.equal(mode, network.embedding[torch.from_numpy(tokenizer.encode(text).astype("int64"))])
    with pytest.raises(ConfigError, match="different words"):
        WordModes(question="a", answer="a").make(network, tokenizer, (), SolverSettings())


def test_learned_modes_lower_their_pairs_losses_and_are_reproducible(network, tokenizer) -> None:
    pairs = [Pair(str(n), chr(97 + n), chr(110 + n), (chr(110 + n),)) for n in range(3)]
    encoded = encode_pairs(pairs, tokenizer, longest_question=None, longest_answer=None, context=64, overhead=16).pairs
    targets = [PairTargets(one.pair.id, branches_of(one)) for one in encoded]
    settings = SolverSettings(vectors=6, lr=0.5)
    learned = LearnedModes(pairs=3, steps=15).make(network, tokenizer, targets, settings)
    again = LearnedModes(pairs=3, steps=15).make(network, tokenizer, targets, settings)
    assert all(torch.equal(one, other) for one, other in zip(learned, again, strict=True))
    drawn = RandomModes.draw(network, settings.seed)

    def loss(modes) -> float:
        vectors = torch.randn(6, network.width, generator=torch.Generator().manual_seed(0)) * network.scale
        losses = losses_under_vectors(network, modes, [(vectors, pair.branches) for pair in targets], "two_sequences")
        return sum(sum(one.losses) for one in losses)

    assert loss(learned) < loss(drawn)
