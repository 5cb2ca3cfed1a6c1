"""AdamW and Muon, made for many steps of small models.

They are torch's kernels with less around them (see `Direct`); Muon multiplies all matrices of one shape together.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from trimtab.runtime.device import has_native_bf16
from trimtab.training.loop.optimizer import Direct


class AdamW(Direct):
    """AdamW (Loshchilov & Hutter 2019) by torch's fused kernel, equal to `torch.optim.AdamW(fused=True)` bit for bit."""

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        # With `fused`, torch's `load_state_dict` puts the step counts on the parameters' device, where the kernel needs them.
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "fused": True})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update; closures are not supported."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            states = [self._state(p) for p in parameters]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                parameters,
                [p.grad for p in parameters],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return state


COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b and c of Jordan 2024: a step of Newton–Schulz maps a singular value s to a·s + b·s³ + c·s⁵."""
SMALLEST_NORM = 1e-7


class Muon(Direct):
    """Muon (Jordan 2024): momentum, orthogonalised by five steps of a Newton–Schulz iteration.

    As `torch.optim.Muon` with its defaults, with two differences: matrices of one shape (or of its transpose) are orthogonalised
    together, and in bf16 only where the hardware multiplies bf16. Elsewhere torch emulates bf16, about 50 times slower than fp32.
    """

    def __init__(self, params: Iterable[Any], *, lr: float, weight_decay: float, momentum: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update; closures are not supported."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            gradients = [p.grad for p in parameters]
            buffers = [self._buffer(p) for p in parameters]
            torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
            updates = orthogonalised(list(torch._foreach_lerp(gradients, buffers, group["momentum"])))
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            for parameter, update in zip(parameters, updates, strict=True):
                rows, columns = parameter.shape
                parameter.add_(update, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)

    def _buffer(self, parameter: Tensor) -> Tensor:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]


def orthogonalised(matrices: list[Tensor]) -> list[Tensor]:
    """For each matrix U S Vᵀ about U Vᵀ, in its precision: singular values between about 0.7 and 1.2."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for index, matrix in enumerate(matrices):
        rows, columns = matrix.shape
        shapes.setdefault((min(rows, columns), max(rows, columns)), []).append(index)
    results: list[Tensor] = list(matrices)
    for (rows, _), members in shapes.items():
        flat = [matrices[i] if matrices[i].shape[0] == rows else matrices[i].T for i in members]
        stack = torch.stack(flat)
        stack = stack.bfloat16() if has_native_bf16(stack.device.type) else stack
        for index, result in zip(members, newton_schulz(stack), strict=True):
            results[index] = (result if matrices[index].shape[0] == rows else result.T).to(matrices[index].dtype)
    return results


def newton_schulz(x: Tensor, steps: int = 5) -> Tensor:
    """The iteration on a stack of wide matrices [count, rows, columns], rows ≤ columns, in their precision."""
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp_(min=SMALLEST_NORM)
    if x.dtype != torch.bfloat16 and x.shape[2] > 1.5 * x.shape[1]:
        return _by_gram_matrix(x, steps)
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _by_gram_matrix(x: Tensor, steps: int) -> Tensor:
    """The same iteration on the small matrix X Xᵀ: fewer products, if X is wide.

    Each step multiplies X from the left by a·I + M, where M = b·G + c·G² and G is the Gram matrix of that step. All these
    matrices commute. Their product Q is applied to X at the end. Q has values up to a⁵ ≈ 485, too large for the 8 bits of bf16.
    """
    a, b, c = COEFFICIENTS
    gram = x @ x.mT
    product = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(gram)
    for step in range(steps):
        m = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        product = torch.baddbmm(product, m, product, beta=a)
        if step + 1 < steps:
            once = torch.baddbmm(gram, m, gram, beta=a)
            gram = torch.baddbmm(once, m, once, beta=a)
    return product @ x
