"""A linear policy: for each action a prediction of its effect with a standard error; on disk as safetensors and JSON."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import safetensors.numpy
from jaxtyping import Float
from pydantic import Field, ValidationError

from trimtab.boundary import foreign, printable, read_regular, user_path
from trimtab.errors import ConfigError, RunError
from trimtab.records.atomic import atomic_directory, write_json
from trimtab.records.manifest import CHECKSUM, read_object, with_checksum, without_checksum
from trimtab.records.problems import problems_of
from trimtab.records.rows import Row
from trimtab.regimes.actions import ACTIONS
from trimtab.regimes.features import FEATURES

CARD, TENSORS = "policy.json", "policy.safetensors"
FORMAT = 1
MARGIN, CAUTION = 0.02, 2.0
"""How low a prediction must be before the controller `learned` acts, unless its config says otherwise."""
_DIGEST = "tensors_sha256"
_LIMIT = 1 << 20
_NAME_IT = "name the folder of a policy by `--set episode.regime_controller.path=FOLDER`"


class _Card(Row):
    """What every card says besides the names of features and actions."""

    method: Literal["ridge", "q"]
    metric: Literal["val_loss", "train_loss"]
    horizons: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)]
    ledger: dict[str, Any]


@dataclass(frozen=True, eq=False)
class LinearPolicy:
    """One linear model of the effect for each of the actions, on standardised features.

    `mean` and `scale` standardise the features. `weights` has a row for each action, the intercept last; `covariance` is that
    of a row's estimate. `card` says how the policy was fitted: the method, the metric, the horizon, and the ledger's
    fingerprint.
    """

    mean: Float[np.ndarray, " f"]
    scale: Float[np.ndarray, " f"]
    weights: Float[np.ndarray, "a f1"]
    covariance: Float[np.ndarray, "a f1 f1"]
    card: dict[str, Any]

    def predict(self, features: Float[np.ndarray, " f"]) -> dict[str, tuple[float, float]]:
        """For each action the predicted effect at a step, and the standard error of that prediction."""
        x = np.append((features - self.mean) / self.scale, 1.0)
        effects = self.weights @ x
        errors = np.sqrt(np.maximum(np.einsum("i,aij,j->a", x, self.covariance, x), 0.0))
        return {action: (float(effects[i]), float(errors[i])) for i, action in enumerate(ACTIONS)}

    def best(
        self, features: Float[np.ndarray, " f"], names: Sequence[str], *, margin: float, caution: float
    ) -> tuple[str, float, float] | None:
        """The action among `names` with the lowest upper bound on its effect, with the prediction and its standard error.

        The bound is the prediction plus `caution` standard errors. None where no bound is below −`margin`.
        """
        predicted = self.predict(features)
        bounds = {name: predicted[name][0] + caution * predicted[name][1] for name in names}
        name = min(names, key=lambda one: bounds[one])
        return (name, *predicted[name]) if bounds[name] < -margin else None


def policy_target(folder: Path) -> Path:
    """The folder that a policy is written to: `folder`, or what it leads to as a symbolic link.

    Raises `ConfigError` unless it is missing or holds a policy and nothing else, because writing a policy replaces it.
    """
    target = Path(os.path.realpath(folder))
    if not os.path.lexists(target):
        return target
    if not target.is_dir():
        raise ConfigError(f"{folder} is not a folder. Choose another --out.")
    others = sorted(path.name for path in target.iterdir() if path.name not in (CARD, TENSORS) or not path.is_file())
    if others:
        raise ConfigError(
            f"{folder} holds more than a policy: {printable(others[0])}. Writing a policy replaces the whole folder. Move that "
            "away, or choose another --out."
        )
    try:
        card = read_object(target / CARD, "policy", "")
    except RunError:
        card = {}
    if not {"format", "features", "actions", _DIGEST} <= card.keys():
        raise ConfigError(f"{folder} exists and holds no policy that can be read. Remove it, or choose another --out.")
    return target


def save_policy(policy: LinearPolicy, folder: Path) -> None:
    """Write a policy into the new folder `folder`, in one atomic step; a policy that is there is replaced.

    Raises `ConfigError` for a policy with a value that is not finite, and where the folder holds something else (see
    `policy_target`); `WorkError` when the disk refuses.
    """
    tensors = {name: np.ascontiguousarray(getattr(policy, name), dtype=np.float64) for name in _SHAPES}
    if (fault := _fault(tensors)) is not None:
        raise ConfigError(
            f"The policy was not written, because its {fault}. Some of the effects that it was fitted to are too large: correct "
            "or remove them in the `effects.json` of their episodes, or measure them again."
        )
    data = safetensors.numpy.save(tensors)
    names = {"format": FORMAT, "features": list(FEATURES), "actions": list(ACTIONS)}
    with atomic_directory(policy_target(folder), replace=True) as temporary:
        (temporary / TENSORS).write_bytes(data)
        write_json(temporary / CARD, with_checksum({**names, **policy.card, _DIGEST: hashlib.sha256(data).hexdigest()}))


def policy_sha256(folder: str | Path) -> str:
    """The SHA-256 of a policy's card, which contains that of its tensors. Raises `ConfigError` where there is no sound card."""
    return str(_card(user_path(folder, "path"))[1])


def load_policy(folder: str | Path, sha256: str | None = None) -> LinearPolicy:
    """The policy in a folder.

    Raises `ConfigError` where there is none, where it is damaged or was edited, where it was fitted for other features or
    actions than this version has, and where it is not the policy whose card has the hash `sha256`.
    """
    path = user_path(folder, "path")
    card, found = _card(path)
    if sha256 is not None and found != sha256:
        raise ConfigError(
            f"The policy in {path} is not the one that this config names by `episode.regime_controller.sha256`: its SHA-256 is "
            f"{found[:12]}…, and the config says {sha256[:12]}…. Restore that policy, or, if it is elsewhere, {_NAME_IT}. A new "
            "run or a fork uses the policy that is here with `--set episode.regime_controller.sha256=null`."
        )
    try:
        data = read_regular(path / TENSORS, at_most=_LIMIT)
    except OSError as error:
        raise ConfigError(
            f"The policy in {path} is damaged: {TENSORS}: {error.strerror or error}. Fit it again."
        ) from error
    if hashlib.sha256(data).hexdigest() != card.pop(_DIGEST, None):
        raise ConfigError(
            f"The policy in {path} is damaged: the content of {TENSORS} does not have the SHA-256 that {CARD} records. Restore "
            "both files from a copy, or fit the policy again with `trimtab controller fit`."
        )
    with foreign(ConfigError, f"The policy in {path} is damaged: {TENSORS}: {{}}.".format):
        tensors = safetensors.numpy.load(data)
    _check(path, tensors)
    return LinearPolicy(**tensors, card=card)


def _card(path: Path) -> tuple[dict[str, Any], str]:
    """The content of a policy's card without what every card of this version has, and its checksum."""
    try:
        raw = read_object(path / CARD, "policy", f"`trimtab controller fit` writes one. If it is elsewhere, {_NAME_IT}")
        card = without_checksum(raw, f"The policy {path / CARD}")
    except RunError as error:
        raise ConfigError(str(error)) from error
    version, known = card.pop("format", None), {"features": list(FEATURES), "actions": list(ACTIONS)}
    if type(version) is not int or version != FORMAT:
        raise ConfigError(
            f"The policy in {path} is of format {version}; this Trimtab reads format {FORMAT}. Fit it again."
        )
    for key, names in known.items():
        if (written := card.pop(key, None)) != names:
            raise ConfigError(
                f"The policy in {path} was fitted for other {key} ({written}) than this Trimtab has ({names}). Fit it again with "
                "`trimtab controller fit`."
            )
    try:
        _Card.model_validate(card)
    except ValidationError as error:
        raise ConfigError(
            f"The policy in {path} is damaged: in {CARD}, {problems_of(error)}. Restore it from a copy, or fit it again."
        ) from error
    return card, str(raw[CHECKSUM])


_F, _A = len(FEATURES), len(ACTIONS)
_SHAPES = {"mean": (_F,), "scale": (_F,), "weights": (_A, _F + 1), "covariance": (_A, _F + 1, _F + 1)}


def _check(path: Path, tensors: dict[str, np.ndarray]) -> None:
    found = {name: (tensor.shape, str(tensor.dtype)) for name, tensor in tensors.items()}
    if found != {name: (shape, "float64") for name, shape in _SHAPES.items()}:
        raise ConfigError(f"The policy in {path} is damaged: {TENSORS} holds {found or 'nothing'}. Fit it again.")
    if (fault := _fault(tensors)) is not None:
        raise ConfigError(f"The policy in {path} is damaged: in {TENSORS}, its {fault}. Fit it again.")


def _fault(tensors: dict[str, np.ndarray]) -> str | None:
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            return f"{name} has a value that is not finite"
    return None if (tensors["scale"] > 0).all() else "scale has a value that is not positive"
