"""Catches spikes of the loss and the gradient norm."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.config import EpisodeConfig
from trimtab.regimes.controller import Controller, Decision
from trimtab.regimes.robust import RobustWindow
from trimtab.regimes.state import RegimeState

Answer = Literal["clip", "skip", "rewind"]


class SpikeGuard(Controller):
    """Answers a spike of the gradient norm, a spike of the loss, and a loss that stays high.

    A spike is a robust z-score above `threshold` against the last `window` values that were no spikes. *clip* bounds the
    gradient norm of this step at the value with that z-score; *skip* leaves the step out; *rewind* goes back to the newest
    snapshot that is known to be good, and on with other data: one whose weights were followed by a loss without a spike, for
    the update of the very step before the first spike may be what broke the weights. A loss that spiked `lasting` steps in a
    row is answered by `on_lasting`, and its steps no longer by `on_loss` alone. What is not finite is a spike too (and the
    trainer skips it in any case).
    """

    def __init__(
        self,
        *,
        threshold: Annotated[float, Field(gt=0, description="robust z-score above which a value is a spike")] = 6.0,
        window: Annotated[int, Field(ge=8, description="values without a spike that new ones are judged against")] = 50,
        on_gradient: Annotated[Answer, Field(description="answer to a spike of the gradient norm alone")] = "clip",
        on_loss: Annotated[Answer, Field(description="answer to a spike of the loss")] = "skip",
        on_lasting: Annotated[
            Literal["skip", "rewind"], Field(description="answer to a loss that spiked several steps in a row")
        ] = "rewind",
        lasting: Annotated[int, Field(ge=2, description="spikes of the loss in a row that are lasting trouble")] = 5,
    ) -> None:
        self.on_gradient, self.on_loss, self.on_lasting, self.lasting = on_gradient, on_loss, on_lasting, lasting
        self.losses = RobustWindow(window, threshold)
        self.norms = RobustWindow(window, threshold)
        self.in_a_row = 0
        self.rewinds = "rewind" in (on_gradient, on_loss, on_lasting)

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """The answer to this step's spike, if it is one."""
        bound = self.norms.bound()
        loss_z, loss_spiked = self.losses.observe(state.train_loss)
        norm_z, norm_spiked = self.norms.observe(state.grad_norm)
        self.in_a_row = self.in_a_row + 1 if loss_spiked else 0
        if loss_spiked:
            answer: Answer = self.on_lasting if self.in_a_row >= self.lasting else self.on_loss
            reason = f"the loss {state.train_loss:.4g} has the robust z-score {loss_z:.1f}"
            if self.in_a_row >= self.lasting:
                reason += f", spike {self.in_a_row} in a row"
        elif norm_spiked:
            answer = self.on_gradient
            reason = f"the gradient norm {state.grad_norm:.4g} has the robust z-score {norm_z:.1f}"
        else:
            return None
        if answer == "rewind":
            first = state.step - max(self.in_a_row, 1) + 1
            self.in_a_row = 0
            return Decision(reason, action="rewind", rewind_to=first - 2)
        if answer == "skip":
            return Decision(reason, action="skip")
        usual = math.inf if episode_config.clip is None else episode_config.clip
        limit = min(bound, usual)
        return Decision(reason, clip=limit) if math.isfinite(limit) else None

    def state_dict(self) -> dict[str, Any]:
        """Both windows and the count."""
        return {
            "losses": self.losses.state_dict(),
            "norms": self.norms.state_dict(),
            "in_a_row": self.in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the memory to what `state_dict` gave."""
        self.losses.load_state_dict(state["losses"])
        self.norms.load_state_dict(state["norms"])
        self.in_a_row = state["in_a_row"]
