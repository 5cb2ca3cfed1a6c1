"""Calibration of the confidence under every cap, fitted on answers to problems that the layer did not learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float64

from trimtab.boundary import read_regular, strict_json
from trimtab.errors import RunError
from trimtab.records.atomic import write_json

CLIP = (0.01, 0.99)
"""The lowest and the highest confidence that is reported."""

_PULL = 3.0
"""How strongly the fit of each cap is pulled to no change: as many problems of average certainty would."""

_EDGE = 1e-4

Table = Float64[np.ndarray, "problems caps"]


@dataclass(frozen=True)
class Calibration:
    """F → clip(σ(scale · logit F + shift)), one scale and shift for each cap, then the running maximum over caps.

    `thresholds` has for each cap the least calibrated confidence from which on at least `sure` of the answers that it was fitted
    on were right; None where there is none. It is for the confidence that is reported. Budgets are chosen by the model's own,
    which orders problems better (docs/log.md).
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    thresholds: tuple[float | None, ...]
    sure: float
    clip: tuple[float, float] = CLIP

    @classmethod
    def fit(cls, confidence: Table, right: Bool[np.ndarray, "problems caps"], *, sure: float = 0.9) -> Self:
        """Fit by penalised maximum likelihood, cap by cap (Platt 2000, with a pull towards no change)."""
        pairs = [_platt(confidence[:, cap], right[:, cap]) for cap in range(confidence.shape[1])]
        scale, shift = (tuple(one) for one in zip(*pairs, strict=True))
        plain = cls(scale, shift, (), sure)
        calibrated = plain.apply(confidence)
        thresholds = tuple(_threshold(calibrated[:, cap], right[:, cap], sure) for cap in range(len(scale)))
        return cls(scale, shift, thresholds, sure)

    def apply(self, confidence: Table) -> Table:
        """The calibrated confidence; it never falls as the cap grows."""
        x = _logit(np.asarray(confidence, dtype=np.float64))
        values = _sigmoid(np.array(self.scale) * x + np.array(self.shift))
        return np.clip(np.maximum.accumulate(values, axis=-1), *self.clip)

    def applied_to(self, details: Mapping[str, Any], caps: Sequence[int]) -> dict[str, Any]:
        """What is known of a row of generation, with the calibrated confidence in place of the model's own.

        The model's own is under `own_confidence_by_cap`. `sure` says whether the confidence reaches the threshold of the cap.
        Raises `ValueError` for details that are calibrated already.
        """
        if "own_confidence_by_cap" in details:
            raise ValueError("this confidence is calibrated already; a second time would distort it")
        own = details["confidence_by_cap"]
        by_cap = self.apply(np.array(own))
        cap = caps[-1] if details["cap"] is None else min(details["cap"], caps[-1])
        place = int(np.searchsorted(caps, cap, side="right")) - 1
        least = self.thresholds[place]
        return {
            **details,
            "own_confidence_by_cap": own,
            "confidence_by_cap": by_cap.tolist(),
            "confidence": float(by_cap[place]),
            "sure": least is not None and float(by_cap[place]) >= least,
        }

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        plain = {name: getattr(self, name) for name in ("scale", "shift", "thresholds", "sure", "clip")}
        write_json(path, {"schema": 1, **plain})

    @classmethod
    def read(cls, path: Path, caps: int) -> Self:
        """What `write` wrote, for a model with so many caps. Raises `RunError` for anything else."""
        try:
            plain = strict_json(read_regular(path))
            if not isinstance(plain, dict) or plain.pop("schema", None) != 1:
                raise ValueError("it is not a calibration of schema 1")
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
            }
            made = cls(**values)
            if not len(made.scale) == len(made.shift) == len(made.thresholds) == caps:
                raise ValueError(f"it is not for {caps} caps")
            made.apply(np.full(caps, 0.5))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(
                f"{path} cannot be used ({error}). Remove it, and repeat the command that made the run: it writes it again."
            ) from error
        return made


def _logit(p: Any) -> Any:
    p = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(p / (1 - p))


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(x / 2))  # without overflow


def _platt(confidence: Any, right: Any) -> tuple[float, float]:
    """Scale and shift of one cap, by Newton's method from no change."""
    x, y = _logit(confidence), right.astype(np.float64)
    solution = np.array([1.0, 0.0])
    for _ in range(50):
        p = _sigmoid(solution[0] * x + solution[1])
        gradient = np.array([((p - y) * x).sum(), (p - y).sum()]) + _PULL * (solution - (1.0, 0.0))
        weight = p * (1 - p)
        cross = (weight * x).sum()
        hessian = np.array([[(weight * x * x).sum() + _PULL, cross], [cross, weight.sum() + _PULL]])
        change = np.clip(np.linalg.solve(hessian, gradient), -1.0, 1.0)  # further away its quadratic does not hold
        solution = solution - change
        if float(np.abs(change).max()) < 1e-10:
            break
    return float(solution[0]), float(solution[1])


def _threshold(confidence: Any, right: Any, sure: float) -> float | None:
    """The least confidence from which on a share of at least `sure` of the answers is right."""
    order = np.argsort(-confidence, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(confidence[order]) != 0, True)  # equal confidences are counted together
    enough = np.flatnonzero(last & (share >= sure))
    return float(confidence[order][enough[-1]]) if len(enough) else None
