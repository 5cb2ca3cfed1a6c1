"""AdamW and Muon, compared with torch's own."""

import math
import subprocess
import sys

import pytest
import torch

from trimtab.training.builtins.updates import AdamW, Muon, newton_schulz, orthogonalised

SHAPES = [(24, 8), (8, 8), (8, 24), (24, 8)]


def parameters(shapes=SHAPES):
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def same_gradients(step, *many):
    for own in many:
        generator = torch.Generator().manual_seed(step)
        for parameter in own:
            parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_adamw_equals_torchs_fused_kernel_bit_for_bit():
    ours, torchs = parameters([*SHAPES, (7,)]), parameters([*SHAPES, (7,)])
    settings = {"lr": 0.02, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
    one, other = AdamW(ours, **settings), torch.optim.AdamW(torchs, fused=True, **settings)
    for step in range(5):
        same_gradients(step, ours, torchs)
        ours[1].grad = torchs[1].grad = (
            None if step % 2 else ours[1].grad
        )  # a parameter without a gradient is left alone
        one.step()
        other.step()
    for mine, theirs in zip(ours, torchs, strict=True):
        assert torch.equal(mine, theirs)


def test_restored_step_counts_are_on_the_parameters_device():
    """The fused kernel needs them there; `meta` stands for a GPU."""
    (ours,) = parameters([(3, 3)])
    optimizer = AdamW([ours], lr=0.1, betas=(0.9, 0.95))
    same_gradients(0, [ours])
    optimizer.step()
    elsewhere = torch.nn.Parameter(torch.empty(3, 3, device="meta"))
    restored = AdamW([elsewhere], lr=0.1, betas=(0.9, 0.95))
    restored.load_state_dict(optimizer.state_dict())
    assert {value.device.type for value in restored.state[elsewhere].values()} == {"meta"}


def test_muon_makes_torchs_update_up_to_bf16():
    ours, torchs = parameters(), parameters()
    settings = {"lr": 0.1, "weight_decay": 0.2, "momentum": 0.95}
    one, other = Muon(ours, **settings), torch.optim.Muon(torchs, **settings)
    for step in range(4):
        before = [p.detach().clone() for p in ours]
        same_gradients(step, ours, torchs)
        one.step()
        other.step()
        for mine, theirs, old in zip(ours, torchs, before, strict=True):
            assert float((mine - theirs).detach().norm()) < 0.05 * float((mine - old).detach().norm())
            theirs.data.copy_(mine.data)


def test_each_matrix_is_orthogonalised_as_if_alone():
    matrices = [p.detach() for p in parameters()]
    for matrix, result in zip(matrices, orthogonalised(matrices), strict=True):
        (alone,) = orthogonalised([matrix])
        assert result.shape == matrix.shape
        assert result.dtype == matrix.dtype
        torch.testing.assert_close(result, alone, rtol=0, atol=0.02)
        u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
        singular = (u.T @ result @ vt.T).diagonal()
        assert float(singular.min()) > 0.5
        assert float(singular.max()) < 1.3


@pytest.mark.parametrize("columns", [16, 40])
def test_the_iteration_maps_each_singular_value_by_the_polynomial(columns):
    """Directly (16 columns) and by the Gram matrix (40)."""
    generator = torch.Generator().manual_seed(0)
    u, _, vt = torch.linalg.svd(torch.randn(16, columns, generator=generator, dtype=torch.float64), full_matrices=False)
    values = torch.logspace(0, -5, 16, dtype=torch.float64)
    expected = values / values.norm()
    for _ in range(5):
        expected = 3.4445 * expected - 4.7750 * expected**3 + 2.0315 * expected**5
    result = newton_schulz(((u * values) @ vt)[None])[0]
    torch.testing.assert_close(result, (u * expected) @ vt, rtol=0, atol=1e-11)


def test_a_gradient_of_zeros_makes_no_update():
    assert torch.equal(newton_schulz(torch.zeros(1, 4, 8)), torch.zeros(1, 4, 8))


@pytest.mark.parametrize("shape", [(24, 8), (8, 24)])
def test_muons_rate_grows_with_the_root_of_rows_over_columns(shape):
    (parameter,) = parameters([shape])
    before = parameter.detach().clone()
    same_gradients(0, [parameter])
    Muon([parameter], lr=0.1, weight_decay=0.0, momentum=0.0).step()
    size = float((parameter.detach() - before).norm()) / math.sqrt(min(shape))
    assert size == pytest.approx(0.1 * max(1.0, shape[0] / shape[1]) ** 0.5, rel=0.25)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_imports_neither_torchs_compiler_nor_what_only_pretrained_models_need(optimizer, tmp_path):
    """They take seconds, which a short run does not have."""
    program = (
        "import sys\n"
        "from trimtab.training import resume, train\n"
        "from trimtab.training.config import load_config\n"
        "changes = ['model={name: decoder, layers: 1, width: 8, heads: 1, ff: 8}', 'data.context=8', 'threads=1',\n"
        "    'episode.steps=2', 'episode.batch_size=2', 'episode.optimizer={name: ' + sys.argv[1] + '}', 'episode.evaluation_windows=2']\n"
        "train(load_config(None, changes), sys.argv[2])\n"
        "resume(sys.argv[2], ['episode.steps=3'], accept_changes=True)\n"
        "late = {'torch._dynamo', 'sympy', 'transformers', 'datasets', 'matplotlib'} & set(sys.modules)\n"
        "assert not late, late\n"
    )
    command = [sys.executable, "-P", "-c", program, optimizer, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
