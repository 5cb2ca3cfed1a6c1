"""A controller that reacts to spikes of the loss and the gradient norm."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.config import EpisodeConfig
from trimtab.regimes.controller import Controller, Decision
from trimtab.regimes.robust import RobustWindow
from trimtab.regimes.state import RegimeState

Reaction = Literal["clip", "skip", "rewind"]


class SpikeGuard(Controller):
    """Reacts to a spike of the gradient norm, to a spike of the loss, and to a loss that stays high.

    A spike is a robust z-score above `threshold`, against the last `window` values that were not spikes. *clip* bounds the
    gradient norm of this step at the value with that z-score. *skip* skips the update. *rewind* restores the newest snapshot
    whose weights had a loss without a spike at the next step, and continues with new data. A snapshot of the step right before
    the first spike is not used, because the update of that step may have damaged the weights. When the loss spiked `lasting`
    steps in a row, the reaction is `on_lasting` instead of `on_loss`. A value that is not finite is a spike too; the trainer
    skips that step in any case.
    """

    def __init__(
        self,
        *,
        threshold: Annotated[float, Field(gt=0, description="robust z-score above which a value is a spike")] = 6.0,
        window: Annotated[
            int, Field(ge=8, description="the number of values without a spike that a new one is compared with")
        ] = 50,
        on_gradient: Annotated[Reaction, Field(description="reaction to a spike of the gradient norm alone")] = "clip",
        on_loss: Annotated[Reaction, Field(description="reaction to a spike of the loss")] = "skip",
        on_lasting: Annotated[
            Literal["skip", "rewind"], Field(description="reaction to a loss that spiked several steps in a row")
        ] = "rewind",
        lasting: Annotated[
            int, Field(ge=2, description="spikes of the loss in a row after which `on_lasting` applies")
        ] = 5,
    ) -> None:
        self.on_gradient, self.on_loss, self.on_lasting, self.lasting = on_gradient, on_loss, on_lasting, lasting
        self.losses = RobustWindow(window, threshold)
        self.norms = RobustWindow(window, threshold)
        self.in_a_row = 0
        self.rewinds = "rewind" in (on_gradient, on_loss, on_lasting)

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """The reaction to a spike at this step, or None."""
        bound = self.norms.bound()
        loss_z, loss_spiked = self.losses.observe(state.train_loss)
        norm_z, norm_spiked = self.norms.observe(state.grad_norm)
        self.in_a_row = self.in_a_row + 1 if loss_spiked else 0
        if loss_spiked:
            reaction: Reaction = self.on_lasting if self.in_a_row >= self.lasting else self.on_loss
            reason = f"the loss {state.train_loss:.4g} has the robust z-score {loss_z:.1f}"
            if self.in_a_row >= self.lasting:
                reason += f", spike {self.in_a_row} in a row"
        elif norm_spiked:
            reaction = self.on_gradient
            reason = f"the gradient norm {state.grad_norm:.4g} has the robust z-score {norm_z:.1f}"
        else:
            return None
        if reaction == "rewind":
            first = state.step - max(self.in_a_row, 1) + 1
            self.in_a_row = 0
            return Decision(reason, action="rewind", rewind_to=first - 2)
        if reaction == "skip":
            return Decision(reason, action="skip")
        usual = math.inf if episode_config.clip is None else episode_config.clip
        limit = min(bound, usual)
        return Decision(reason, clip=limit) if math.isfinite(limit) else None

    def state_dict(self) -> dict[str, Any]:
        """Both windows and the number of spikes in a row."""
        return {
            "losses": self.losses.state_dict(),
            "norms": self.norms.state_dict(),
            "in_a_row": self.in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        self.losses.load_state_dict(state["losses"])
        self.norms.load_state_dict(state["norms"])
        self.in_a_row = state["in_a_row"]
