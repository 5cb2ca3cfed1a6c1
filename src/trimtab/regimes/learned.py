"""A controller that acts by a policy fitted to the recorded effects of interventions."""

from typing import Annotated, Any

from pydantic import Field

from trimtab.config import FILE_PATH, ConfigError, EpisodeConfig
from trimtab.regimes.actions import ChoosingController
from trimtab.regimes.features import features
from trimtab.regimes.policy import CAUTION, MARGIN, load_policy, policy_sha256
from trimtab.regimes.state import RegimeState


class Learned(ChoosingController):
    """Takes the action with the lowest predicted effect, if that is low enough.

    A policy predicts, for each action, its effect on a loss (negative is better), with a standard error. The controller acts
    where the prediction plus `caution` standard errors is below −`margin`, and does nothing elsewhere. Without a margin it acts
    at most steps, on predictions that are nearly 0. `trimtab controller fit` fits a policy to the records of experiments.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, Field(min_length=1, description="folder of the policy", json_schema_extra=FILE_PATH)],
        sha256: Annotated[
            str | None,
            Field(
                pattern=r"^[0-9a-f]{64}$",
                description="SHA-256 of the policy, 64 hexadecimal digits; null: that of the policy that is there when the run "
                "starts",
            ),
        ] = None,
        margin: Annotated[
            float, Field(ge=0, description="improvement that a prediction must exceed, in the unit of the loss")
        ] = MARGIN,
        caution: Annotated[float, Field(ge=0, description="standard errors that are added to a prediction")] = CAUTION,
    ) -> None:
        super().__init__()
        self.policy = load_policy(path, sha256)
        self.margin, self.caution = margin, caution

    @classmethod
    def expand(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """Fill in the hash of the policy, so that the hash of a config covers the policy's content.

        Raises `ValueError`, which the config loader words with the place of the key, where there is no sound policy.
        """
        if not parameters.get("path") or parameters.get("sha256") is not None:
            return parameters
        try:
            return {**parameters, "sha256": policy_sha256(parameters["path"])}
        except ConfigError as error:
            raise ValueError(f"path: {error}") from error

    def choose(self, state: RegimeState, episode: EpisodeConfig, names: list[str]) -> tuple[str, str] | None:
        """The possible action with the lowest bound on its effect, if it is below the margin."""
        seen = features(state, episode, self.recent)
        best = self.policy.best(seen, names, margin=self.margin, caution=self.caution)
        if best is None:
            return None
        name, effect, error = best
        return (
            name,
            f"{name}: predicted effect on {self.policy.card['metric']} {effect:+.4f}, standard error {error:.4f}",
        )
