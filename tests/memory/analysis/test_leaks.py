"""Leaks compared with the library's own network, one text at a time, and hand-computed bits per vector."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.memory.analysis import made
from trimtab.errors import ConfigError
from trimtab.evidence import t_interval
from trimtab.memory.analysis.leaks import estimate, leak_matrix, start_tokens
from trimtab.memory.analysis.shared import neighbours
from trimtab.records.memory_measurements import LeaksRecord


def prior(net, ids: tuple[int, ...]) -> float:
    """Bits of a text after the start token of the config that makes it most likely."""
    return min(nll(net, net.embedding[[token]], ids) for token in (0, 1, 2))


def nll(net, prompt: torch.Tensor, ids: tuple[int, ...]) -> float:
    """Bits of a text after a prompt."""
    with net.library_attention() as network, torch.no_grad():
        read = torch.cat((prompt.to(net.dtype), net.embedding[list(ids[:-1])]))
        logits = network(inputs_embeds=read[None], use_cache=False).logits[0, -len(ids) :]
    return -float(logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None]).sum()) / math.log(2)


@pytest.fixture
def measured(network_and_memories):
    net, memories = network_and_memories
    names = [memory.card.pair for memory in memories]
    counterfactual = {name: made.text(index) for index, name in enumerate(names)}
    other = {name: memories[index - 1].card.answer_ids for index, name in enumerate(names) if index}
    return net, memories, counterfactual, other, leak_matrix(net, memories, counterfactual, other, positions=64)


def test_the_matrix_equals_the_losses_of_each_text_alone(measured) -> None:
    net, memories, counterfactual, other, leaks = measured
    assert list(leaks["bits"]) == ["question", "answer", "counterfactual", "other"]
    for text, row in leaks["bits"].items():
        assert list(row) == ["question", "answer", "none"]
        for mode, cell in row.items():
            differences = []
            for memory in memories:
                ids = {
                    "question": memory.card.question_ids,
                    "answer": memory.card.answer_ids,
                    "counterfactual": counterfactual[memory.card.pair],
                    "other": other.get(memory.card.pair),
                }[text]
                if ids is None:
                    continue
                first = memory.card.layout == "two_sequences"
                own = [] if mode == "none" else [memory.modes[("question", "answer").index(mode)]]
                under = nll(net, torch.cat([*own, memory.vectors] if first else [memory.vectors, *own]), ids)
                differences.append(under - prior(net, ids))
            interval = t_interval(differences)
            expected = {"mean": interval.mean, "low": interval.low, "high": interval.high}
            assert cell == pytest.approx(expected, abs=1e-7)
    assert len(other) == len(memories) - 1


def test_a_memory_makes_its_own_texts_likelier_and_not_another(measured) -> None:
    bits = measured[-1]["bits"]
    assert bits["question"]["question"]["mean"] < -4 and bits["answer"]["answer"]["mean"] < -4
    assert bits["question"]["question"]["mean"] < bits["question"]["answer"]["mean"]
    assert bits["counterfactual"]["answer"]["mean"] > -4


def test_bits_per_vector(measured) -> None:
    net, memories, _, _, leaks = measured
    per_vector = LeaksRecord.model_validate(leaks).per_vector
    assert per_vector.vectors == 8 and [one.pair for one in per_vector.pairs] == [
        memory.card.pair for memory in memories
    ]
    for one, memory in zip(per_vector.pairs, memories, strict=True):
        before = sum(prior(net, branch.ids) for branch in memory.branches)
        under = sum(
            memory.card.loss[side] * len(branch.ids)
            for side, branch in zip(("question", "answer"), memory.branches, strict=True)
        )
        assert one.bits == pytest.approx(before - under / math.log(2), abs=1e-6)
        assert one.question_tokens == len(memory.card.question_ids)
    assert per_vector.bits_per_vector.mean == pytest.approx(
        sum(one.bits / 8 for one in per_vector.pairs) / len(per_vector.pairs)
    )


def test_only_the_first_memory_of_a_pair_counts_and_missing_texts_are_left_out(folder: Path) -> None:
    net, memories = made.memories(folder)
    first, second = memories[:2]
    few = replace(second, vectors=second.vectors[:3])
    leaks = leak_matrix(net, [first, few, first], {}, {})
    assert list(leaks["bits"]) == ["question", "answer"] and leaks["per_vector"]["vectors"] is None
    assert len(leaks["per_vector"]["pairs"]) == 2
    alone = leak_matrix(net, [first], {}, {})
    assert alone["bits"]["question"]["none"]["low"] is None
    LeaksRecord.model_validate(alone)
    assert estimate([1.0, 3.0])["mean"] == 2.0


def test_the_prior_uses_the_start_token_that_makes_a_text_most_likely(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, memories = made.memories(folder)
    assert start_tokens(net) == (1, 2, 0)
    priors = {
        token: [nll(net, net.embedding[[token]], memory.card.question_ids) for memory in memories]
        for token in (0, 1, 2, 7)
    }
    lowest = [min(priors[token][index] for token in (0, 1, 2)) for index in range(len(memories))]
    assert leak_matrix(net, memories, {}, {})["prior"]["question"]["mean"] == pytest.approx(sum(lowest) / len(lowest))
    config = net.network.config
    monkeypatch.setattr(config, "bos_token_id", None)
    monkeypatch.setattr(config, "pad_token_id", None)
    monkeypatch.setattr(config, "eos_token_id", [7])
    assert start_tokens(net) == (7,)
    mean = leak_matrix(net, memories, {}, {})["prior"]["question"]["mean"]
    assert mean == pytest.approx(sum(priors[7]) / len(priors[7]))
    monkeypatch.setattr(config, "eos_token_id", None)
    with pytest.raises(ConfigError, match="bos_token_id"):
        leak_matrix(net, memories, {}, {})
    assert leak_matrix(net, memories, {}, {}, starts=[7])["prior"]["question"]["mean"] == pytest.approx(mean)


def test_a_neighbour_has_another_question_and_another_answer(folder: Path) -> None:
    _, memories = made.memories(folder)
    first, second = memories[:2]
    twin = replace(second, card=replace(second.card, pair="twin", answer_ids=first.card.answer_ids))
    assert neighbours([first, twin, second]) == [second, None, first]
    assert neighbours([first, twin]) == [None, None]
    assert neighbours([first]) == [None]
