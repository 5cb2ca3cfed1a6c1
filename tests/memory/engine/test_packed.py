"""Packed candidates compared with each alone in the library's own network: losses, margins, gradients, whole optimisations."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode

from tests.memory.engine import small
from tests.models.pretrained.families import tiny
from trimtab.bench.reference_memory import plain_losses
from trimtab.config import ConfigError
from trimtab.memory.engine.layout import Branch, segments
from trimtab.memory.engine.network import FrozenNetwork, branch_losses, candidate_margins, vector_gradient
from trimtab.memory.engine.packing import pack
from trimtab.memory.engine.solve import PairTargets, Solver, SolverSettings

LAYOUTS = ("two_sequences", "shared_prefix")


def measured(net, modes, vectors, pairs, layout):
    rows = tuple(len(mode) for mode in modes)
    packing = pack([segments(pair.branches, vectors.shape[1], rows, layout) for pair in pairs], vectors.shape[1])
    cost, on_inputs = net.cost_and_gradient(packing, torch.cat(modes), vectors)
    branches = max(len(pair.branches) for pair in pairs)
    losses = branch_losses(packing, cost, len(pairs), branches)
    return losses, candidate_margins(packing, cost, len(pairs)), vector_gradient(packing, on_inputs, vectors.shape)


@pytest.mark.parametrize("rows", [(1, 1), (2, 3)])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", small.KINDS)
def test_losses_margins_and_gradients_are_those_of_each_pair_alone(tmp_path: Path, kind, layout, rows) -> None:
    net = small.network(tmp_path, kind)
    modes = small.modes(net, rows)
    pairs = [*small.PAIRS, PairTargets("no mode", (Branch(None, (5, 6)), Branch(None, (7,)), Branch(1, (8, 9))))]
    vectors = torch.randn(len(pairs), 4, net.width, dtype=torch.float64) * net.scale
    losses, margins, gradient = measured(net, modes, vectors, pairs, layout)
    for row, pair in enumerate(pairs):
        own = vectors[row].clone().requires_grad_()
        with net.library_attention() as network:
            expected, margin = plain_losses(network, modes, own, pair.branches, layout)
        total = sum(branch.weight * loss for branch, loss in zip(pair.branches, expected, strict=True))
        (expected_gradient,) = torch.autograd.grad(total, own)
        assert np.allclose(losses[row, : len(expected)], [loss.item() for loss in expected], rtol=0, atol=1e-9)
        assert torch.isnan(losses[row, len(expected) :]).all()
        assert float(margins[row]) == pytest.approx(margin, abs=1e-9)
        assert torch.allclose(gradient[row], expected_gradient, rtol=0, atol=1e-9)


class _Products(TorchDispatchMode):
    """Counts matrix products whose result has the shape of a weight."""

    def __init__(self, shapes: set[tuple[int, ...]]) -> None:
        super().__init__()
        self.shapes, self.weight_shaped, self.products = shapes, [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default):
            self.products += 1
            if tuple(result.shape) in self.shapes:
                self.weight_shaped.append(tuple(result.shape))
        return result


@pytest.mark.parametrize("kind", small.KINDS)
def test_no_gradient_of_a_weight_is_computed(tmp_path: Path, kind) -> None:
    net = small.network(tmp_path, kind)
    shapes = {tuple(p.shape) for p in net.parameters() if p.ndim == 2}
    shapes |= {shape[::-1] for shape in shapes}
    with _Products(shapes) as products:
        measured(net, small.modes(net), torch.randn(6, 4, net.width, dtype=torch.float64), small.PAIRS, "two_sequences")
    assert products.products > 20 and products.weight_shaped == []
    assert all(p.grad is None and not p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pair_is_optimised_the_same_alone_and_among_others(tmp_path: Path, layout) -> None:
    net = small.network(tmp_path, "llama")
    settings = SolverSettings(vectors=6, layout=layout, steps=12, restarts=2, margin=-2.0, lr=0.5, positions=70)
    together = {
        (f.pair, f.restart): f
        for step in Solver(net, small.modes(net), small.PAIRS, settings).run()
        for f in step.finished
    }
    for pair in small.PAIRS[::2]:
        alone = [f for step in Solver(net, small.modes(net), [pair], settings).run() for f in step.finished]
        for one in alone:
            other = together[one.pair, one.restart]
            assert (one.status, one.steps) == (other.status, other.steps)
            assert np.allclose(one.losses, other.losses, rtol=0, atol=1e-7)
            assert torch.allclose(one.vectors, other.vectors, rtol=0, atol=1e-6)
    assert {f.status for f in together.values()} == {"solved", "unsolved"}


def test_the_solver_follows_torchs_adam_on_the_plain_loop(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama")
    modes, pair = small.modes(net), small.PAIRS[0]
    settings = SolverSettings(vectors=5, steps=12, restarts=1, margin=1e9, lr=0.3)
    solver = Solver(net, modes, [pair], settings)
    own = solver.start(pair.id, 0).clone().requires_grad_()
    optimizer = torch.optim.Adam([own], lr=0.3 * net.scale, betas=(0.9, 0.9))
    path = []
    for _ in range(13):
        optimizer.zero_grad()
        with net.library_attention() as network:
            losses, _ = plain_losses(network, modes, own, pair.branches)
        path.append([loss.item() for loss in losses])
        sum(losses).backward()
        optimizer.step()
    (finished,) = [f for step in solver.run() for f in step.finished]
    assert finished.steps == 12 and np.allclose(finished.losses, path, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", small.KINDS)
def test_the_vectors_of_a_solved_candidate_have_its_recorded_losses_and_margin(tmp_path: Path, kind) -> None:
    net = small.network(tmp_path, kind)
    modes = small.modes(net)
    pairs = [
        PairTargets(f"p{index}", small.branches(1, 1, seed=index)) for index in range(4)
    ]  # short targets, because random networks store little
    settings = SolverSettings(vectors=8, steps=60, restarts=2, margin=0.5, lr=0.4)
    finished = [f for step in Solver(net, modes, pairs, settings).run() for f in step.finished]
    solved = [f for f in finished if f.status == "solved"]
    assert len(solved) >= 2
    for one in solved:
        with net.library_attention() as network:
            losses, margin = plain_losses(network, modes, one.vectors, pairs[int(one.pair[1:])].branches)
        assert margin == pytest.approx(one.margin, abs=1e-7) and margin >= 0.5
        assert np.allclose([loss.item() for loss in losses], one.losses[-1], rtol=0, atol=1e-9)
    assert {f.pair for f in finished if f.restart > 0} <= {f.pair for f in finished if f.status == "unsolved"}


def test_fewer_initial_vectors_are_the_first_of_more(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama")
    few, many = (Solver(net, small.modes(net), small.PAIRS, SolverSettings(vectors=k)).start("p", 1) for k in (2, 5))
    assert torch.equal(few, many[:2]) and float(many.std()) == pytest.approx(net.scale, rel=0.2)


@pytest.mark.parametrize("cut", [3, 11])
def test_a_restored_solver_continues_bit_for_bit(tmp_path: Path, cut: int) -> None:
    net = small.network(tmp_path, "llama", dtype=torch.float32)
    settings = SolverSettings(vectors=6, steps=8, restarts=2, margin=3.0, lr=0.5, positions=60)
    whole = list(Solver(net, small.modes(net), small.PAIRS, settings).run())
    first = Solver(net, small.modes(net), small.PAIRS, settings)
    for _ in range(cut):
        first.step()
    vectors, moments, values = first.state()
    second = Solver(net, small.modes(net), small.PAIRS, settings)
    second.restore({k: v.clone() for k, v in vectors.items()}, {k: v.clone() for k, v in moments.items()}, values)
    rest = list(second.run())
    assert len(whole) == cut + len(rest)
    for one, other in zip(
        [f for s in whole[cut:] for f in s.finished], [f for s in rest for f in s.finished], strict=True
    ):
        assert (one.pair, one.restart, one.status, one.margin) == (
            other.pair,
            other.restart,
            other.status,
            other.margin,
        )
        assert torch.equal(one.vectors, other.vectors) and np.array_equal(one.losses, other.losses)


def test_a_candidate_larger_than_the_budget_is_measured_alone(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama")
    settings = SolverSettings(vectors=6, steps=2, restarts=1, positions=10)
    steps = list(Solver(net, small.modes(net), small.PAIRS, settings).run())
    assert {step.in_flight for step in steps} == {1} and len(steps) == 3 * len(small.PAIRS)


@pytest.mark.parametrize("branches", [(), (Branch(0, ()),)])
def test_a_candidate_without_tokens_or_vectors_is_refused(branches) -> None:
    with pytest.raises(ValueError, match="one token"):
        segments(branches, 3, (1, 1), "two_sequences")
    with pytest.raises(ValueError, match="one vector"):
        segments((Branch(0, (1,)),), 0, (1, 1), "two_sequences")


def test_two_pairs_with_the_same_id_are_refused(tmp_path: Path) -> None:
    net = small.network(tmp_path, "llama")
    with pytest.raises(ValueError, match="same id"):
        Solver(
            net,
            small.modes(net),
            [PairTargets("a", small.branches(2)), PairTargets("a", small.branches(3))],
            SolverSettings(),
        )


@pytest.mark.parametrize(
    ("required", "margin", "solved"), [(0.0, 0.0, False), (0.0, 1e-3, True), (1.0, 1.0, True), (1.0, 0.99, False)]
)
def test_a_candidate_is_solved_at_the_required_margin_but_not_by_a_tie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required, margin, solved
) -> None:
    net = small.network(tmp_path, "llama")
    solver = Solver(
        net, small.modes(net), small.PAIRS[:1], SolverSettings(vectors=3, steps=1, restarts=1, margin=required)
    )
    measure = solver._measure
    monkeypatch.setattr(solver, "_measure", lambda: ([margin], measure()[1]))
    assert [one.status for one in solver.step().finished] == (["solved"] if solved else [])


@pytest.mark.parametrize("kind", ["gemma", "gemma3_text"])
def test_an_embedding_that_the_library_scales_is_used_scaled(tmp_path: Path, kind) -> None:
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "head_dim": 8,
    }
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=61, num_key_value_heads=2, max_position_embeddings=64, **sizes
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / kind)
    net = FrozenNetwork(path=str(tmp_path / kind), dtype=torch.float64)
    ids = torch.tensor([[3, 14, 15, 9, 26, 5]])
    with net.library_attention() as network:
        expected = network(input_ids=ids, use_cache=False).logits
        logits = network(inputs_embeds=net.embedding[ids], use_cache=False).logits
    assert torch.allclose(logits, expected, rtol=0, atol=1e-9)


def test_a_model_without_an_accessible_head_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small.folders.write(tmp_path / "llama", "llama")
    monkeypatch.setattr(transformers.LlamaForCausalLM, "get_output_embeddings", lambda self: None)
    with pytest.raises(
        ConfigError,
        match=r"LlamaForCausalLM in .*: it has no accessible token embedding or linear head.*plain causal attention",
    ):
        FrozenNetwork(path=str(folder))


def test_a_model_whose_head_does_not_read_the_last_hidden_states_is_refused(tmp_path: Path) -> None:
    tiny("rembert", output_embedding_size=40).save_pretrained(tmp_path / "rembert")
    with pytest.raises(
        ConfigError, match=r"RemBertForCausalLM in .*: it cannot read packed segments: .*plain causal attention"
    ):
        FrozenNetwork(path=str(tmp_path / "rembert"))


def test_cuda_running_out_of_memory_halves_the_positions_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised by a mock, because no GPU memory can be filled here."""
    net = small.network(tmp_path, "llama")
    settings = SolverSettings(vectors=4, steps=5, restarts=1, margin=1e9, positions=200)
    expected = {
        one.pair: one for step in Solver(net, small.modes(net), small.PAIRS, settings).run() for one in step.finished
    }
    solver = Solver(net, small.modes(net), small.PAIRS, settings)
    measure, sizes = solver._measure_chunk, []

    def limited(chunk: slice):
        size = sum(row.size for row in solver._candidates[chunk])
        sizes.append(size)
        if size > 60:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return measure(chunk)

    monkeypatch.setattr(solver, "_measure_chunk", limited)
    finished = {one.pair: one for step in solver.run() for one in step.finished}
    assert solver.positions == 50 and max(sizes) > 60
    assert finished.keys() == expected.keys()
    for pair, one in finished.items():
        assert np.allclose(one.losses, expected[pair].losses, rtol=0, atol=1e-9)
