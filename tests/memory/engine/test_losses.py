"""Losses of many sets of vectors in one pass, compared with each alone in the library's own network."""

from pathlib import Path

import pytest
import torch

from tests.memory.engine import small
from trimtab.bench.reference_memory import plain_losses
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.losses import losses_under_vectors

LAYOUTS = ("two_sequences", "shared_prefix")


def vectors(net, seed: int, count: int) -> torch.Tensor:
    drawn = torch.randn(count, net.width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn * net.scale


def variants(net):
    """Variants with different numbers of vectors and branches; some texts have no mode, and one has a single token."""
    result = []
    for index, count in enumerate((4, 1, 4, 7, 1)):
        own = small.branches(5 + index, 2, seed=index)
        own += tuple(Branch(None, branch.ids[: index + 1]) for branch in own[: index % 3])
        result.append((vectors(net, index, count), own))
    return result


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", small.KINDS)
def test_packed_losses_are_those_of_each_branch_alone(tmp_path: Path, kind, layout) -> None:
    net = small.network(tmp_path, kind)
    modes = small.modes(net, (2, 1))
    requests = variants(net)
    for positions in (1, 30, 1024):
        losses = losses_under_vectors(net, modes, requests, layout, positions)
        for one, (own, branches) in zip(losses, requests, strict=True):
            assert len(one.losses) == len(one.margins) == len(one.nll) == len(branches)
            for index, branch in enumerate(branches):
                with net.library_attention() as network, torch.no_grad():
                    (loss,), margin = plain_losses(network, modes, own, [branch], layout)
                assert one.losses[index] == pytest.approx(loss.item(), abs=1e-9)
                assert one.nll[index] == pytest.approx(loss.item() * len(branch.ids), abs=1e-8)
                assert one.margins[index] == pytest.approx(margin, abs=1e-9)
            assert one.margin == min(one.margins)


def test_both_layouts_give_the_same_losses_without_a_mode(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama")
    branches = [Branch(None, (5, 6, 7)), Branch(None, (8,)), Branch(None, (9, 10))]
    requests = [(vectors(net, 1, 3), branches)]
    one, other = (losses_under_vectors(net, small.modes(net), requests, layout)[0] for layout in LAYOUTS)
    assert one.nll == pytest.approx(other.nll, abs=1e-9)


def test_embeddings_as_vectors_act_like_their_tokens_as_context(tmp_path: Path) -> None:
    net = small.network(tmp_path, "gpt2")
    context, text = [4, 9, 11], (7, 8, 2)
    (losses,) = losses_under_vectors(
        net, small.modes(net), [(net.embedding[context], [Branch(None, text)])], "two_sequences"
    )
    with net.library_attention() as network, torch.no_grad():
        logits = network(input_ids=torch.tensor([[*context, *text]]), use_cache=False).logits[0]
    log_probabilities = logits.log_softmax(-1)[len(context) - 1 : -1].gather(1, torch.tensor(text)[:, None])
    assert losses.nll[0] == pytest.approx(-float(log_probabilities.sum()), abs=1e-9)


def test_the_same_call_gives_the_same_bits_and_no_gradients(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama", dtype=torch.bfloat16)
    requests = [(own.float().requires_grad_(), branches) for own, branches in variants(net)]
    requests += [
        (net.embedding[[7]], [Branch(None, (5, 6))])
    ]  # in the network's own precision, beside others of one vector
    first, second = (losses_under_vectors(net, small.modes(net), requests, "two_sequences", 64) for _ in range(2))
    assert first == second and all(own.grad is None for own, _ in requests)
    assert losses_under_vectors(net, small.modes(net), [], "two_sequences") == []


def test_half_as_many_are_packed_when_cuda_runs_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small.network(tmp_path, "llama")
    requests = variants(net)
    expected = losses_under_vectors(net, small.modes(net), requests, "two_sequences")
    read = net.hidden_states

    def limited(packing, inputs):
        if packing.positions > 28:
            raise torch.cuda.OutOfMemoryError("no room")
        return read(packing, inputs)

    monkeypatch.setattr(net, "hidden_states", limited)
    for one, other in zip(
        losses_under_vectors(net, small.modes(net), requests, "two_sequences"), expected, strict=True
    ):
        assert one.nll == pytest.approx(other.nll, abs=1e-9)
    monkeypatch.setattr(net, "hidden_states", lambda *_: limited(type("P", (), {"positions": 99}), None))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        losses_under_vectors(net, small.modes(net), requests, "two_sequences")


def test_a_variant_without_branches_is_refused(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama")
    with pytest.raises(ValueError, match="one token"):
        losses_under_vectors(net, small.modes(net), [(vectors(net, 0, 2), [])], "two_sequences")
