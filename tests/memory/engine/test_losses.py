"""Many variants of vectors in one pass against each alone in the library's own network."""

from pathlib import Path

import pytest
import torch

from tests.memory.engine import small
from trimtab.bench.reference_memory import plain_losses
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.losses import measure

LAYOUTS = ("two_sequences", "shared_prefix")


def vectors(net, seed: int, count: int) -> torch.Tensor:
    drawn = torch.randn(count, net.width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn * net.scale


def candidates(net):
    """Of different numbers of vectors and branches; some texts follow the vectors without a mode, one of a single token."""
    made = []
    for index, count in enumerate((4, 1, 4, 7, 1)):
        own = small.branches(5 + index, 2, seed=index)
        own += tuple(Branch(None, branch.ids[: index + 1]) for branch in own[: index % 3])
        made.append((vectors(net, index, count), own))
    return made


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", small.KINDS)
def test_what_is_measured_is_what_each_branch_costs_alone(tmp_path: Path, kind, layout) -> None:
    net = small.network(tmp_path, kind)
    modes = small.modes(net, (2, 1))
    asked = candidates(net)
    for positions in (1, 30, 1024):
        found = measure(net, modes, asked, layout, positions)
        for one, (own, branches) in zip(found, asked, strict=True):
            assert len(one.losses) == len(one.margins) == len(one.nll) == len(branches)
            for index, branch in enumerate(branches):
                with net.reading_plainly() as network, torch.no_grad():
                    (loss,), margin = plain_losses(network, modes, own, [branch], layout)
                assert one.losses[index] == pytest.approx(loss.item(), abs=1e-9)
                assert one.nll[index] == pytest.approx(loss.item() * len(branch.ids), abs=1e-8)
                assert one.margins[index] == pytest.approx(margin, abs=1e-9)
            assert one.margin == min(one.margins)


def test_without_a_mode_both_layouts_read_the_same(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama")
    branches = [Branch(None, (5, 6, 7)), Branch(None, (8,)), Branch(None, (9, 10))]
    asked = [(vectors(net, 1, 3), branches)]
    one, other = (measure(net, small.modes(net), asked, layout)[0] for layout in LAYOUTS)
    assert one.nll == pytest.approx(other.nll, abs=1e-9)


def test_embeddings_as_vectors_are_the_text_as_context(tmp_path: Path) -> None:
    net = small.network(tmp_path, "gpt2")
    context, text = [4, 9, 11], (7, 8, 2)
    (found,) = measure(net, small.modes(net), [(net.embedding[context], [Branch(None, text)])], "two_sequences")
    with net.reading_plainly() as network, torch.no_grad():
        logits = network(input_ids=torch.tensor([[*context, *text]]), use_cache=False).logits[0]
    said = logits.log_softmax(-1)[len(context) - 1 : -1].gather(1, torch.tensor(text)[:, None])
    assert found.nll[0] == pytest.approx(-float(said.sum()), abs=1e-9)


def test_the_same_call_gives_the_same_bits_and_no_graph(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama", dtype=torch.bfloat16)
    asked = [(own.float().requires_grad_(), branches) for own, branches in candidates(net)]
    asked += [
        (net.embedding[[7]], [Branch(None, (5, 6))])
    ]  # in the network's own precision, beside others of one vector
    first, second = (measure(net, small.modes(net), asked, "two_sequences", 64) for _ in range(2))
    assert first == second and all(own.grad is None for own, _ in asked)
    assert measure(net, small.modes(net), [], "two_sequences") == []


def test_cuda_without_room_for_all_is_asked_for_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small.network(tmp_path, "llama")
    asked = candidates(net)
    expected = measure(net, small.modes(net), asked, "two_sequences")
    read = net.read

    def tight(packing, inputs):
        if packing.positions > 28:
            raise torch.cuda.OutOfMemoryError("no room")
        return read(packing, inputs)

    monkeypatch.setattr(net, "read", tight)
    for one, other in zip(measure(net, small.modes(net), asked, "two_sequences"), expected, strict=True):
        assert one.nll == pytest.approx(other.nll, abs=1e-9)
    monkeypatch.setattr(net, "read", lambda *_: tight(type("P", (), {"positions": 99}), None))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        measure(net, small.modes(net), asked, "two_sequences")


def test_nothing_to_measure_is_refused(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama")
    with pytest.raises(ValueError, match="one token"):
        measure(net, small.modes(net), [(vectors(net, 0, 2), [])], "two_sequences")
