import math
from collections import Counter

import numpy as np
import pytest
import torch

from trimtab.config import ConfigError, DataMix
from trimtab.data import TrainLoader, WindowDataset
from trimtab.data.windows import surprisals


def windows(count: int = 90, context: int = 8) -> WindowDataset:
    generator = np.random.default_rng(0)
    return WindowDataset(generator.integers(2, 12, count * context + 1).astype(np.uint8), context, vocabulary=12)


def test_bigram_surprisal_by_hand() -> None:
    tokens = np.array([0, 1, 0, 1, 0, 0], dtype=np.uint8)
    pairs = Counter(zip(tokens[:-1].tolist(), tokens[1:].tolist(), strict=True))
    firsts = Counter(tokens[:-1].tolist())
    costs = [
        -math.log((pairs[a, b] + 1) / (firsts[a] + 2))
        for a, b in zip(tokens[:-1].tolist(), tokens[1:].tolist(), strict=True)
    ]
    result = surprisals(tokens, np.array([0, 3]), 3, 2)
    assert result == pytest.approx([np.mean(costs[:3]), np.mean(costs[3:])])  # the second window is cut at the end


def test_a_large_vocabulary_counts_single_tokens() -> None:
    tokens = np.array([5, 5, 5, 9], dtype=np.uint16)
    total = 4 + 5000
    result = surprisals(tokens, np.array([0]), 3, 5000)
    assert result == pytest.approx([(2 * -math.log(4 / total) - math.log(2 / total)) / 3])


def test_shuffled_text_is_harder_than_text() -> None:
    text = ("the quick brown fox jumps over the lazy dog " * 60).encode()
    tokens = np.frombuffer(text, dtype=np.uint8).copy()
    tokens[-400:] = np.random.default_rng(0).permutation(tokens[-400:])
    graded = WindowDataset(tokens, 40, vocabulary=128).difficulty()
    assert graded[-10:].min() > graded[:-12].max()


def test_the_shares_decide_the_thirds() -> None:
    dataset = windows()
    order = np.argsort(dataset.difficulty(), kind="stable")
    third = {int(index): place // 30 for place, index in enumerate(order)}
    loader = TrainLoader(dataset, 4, 0)
    drawn = loader.take(0, 3000, DataMix(easy=0.2, hard=0.5)).metadata["index"]
    shares = np.bincount([third[index] for index in drawn], minlength=3) / 3000
    assert shares == pytest.approx([0.2, 0.3, 0.5], abs=0.03)


def test_changed_shares_shift_no_other_sample() -> None:
    loader = TrainLoader(windows(), 4, 0)
    one = loader.take(0, 900, DataMix(easy=0.3, hard=0.3)).metadata["index"]
    other = loader.take(0, 900, DataMix(easy=0.4, hard=0.3)).metadata["index"]
    moved = np.mean([a != b for a, b in zip(one, other, strict=True)])
    assert moved == pytest.approx(0.1, abs=0.03)


def test_samples_are_a_function_of_position() -> None:
    mix = DataMix()
    whole = TrainLoader(windows(), 4, 0).take(0, 400, mix)
    parts = TrainLoader(windows(), 4, 0)
    assert torch.equal(whole.input_ids[390:], parts.take(390, 10, mix).input_ids)
    assert torch.equal(whole.input_ids[:10], parts.take(0, 10, mix).input_ids)
    assert not torch.equal(whole.input_ids, TrainLoader(windows(), 4, 1).take(0, 400, mix).input_ids)


def test_data_without_difficulty_is_refused() -> None:
    class Plain:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> object:
            raise AssertionError

    with pytest.raises(ConfigError, match="data_mix"):
        TrainLoader(Plain(), 2, 0).take(0, 2, DataMix())  # type: ignore[arg-type]


def test_shares_over_one_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        DataMix(easy=0.7, hard=0.7)
