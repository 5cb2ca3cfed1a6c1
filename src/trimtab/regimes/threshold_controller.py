"""A controller of a few rules, each with thresholds in the config, so that every decision can be explained."""

import math
from typing import Annotated, ClassVar

from pydantic import Field

from trimtab.config import DataMix, EpisodeConfig
from trimtab.regimes.controller import Controller, Decision
from trimtab.regimes.state import RegimeState


class ThresholdController(Controller):
    """Changes learning rate, clipping bound and data mix by four rules, at most one decision every `cooldown` steps.

    *Trouble*: the gradient norm was above `grad_norm` (null: its robust z-score above `grad_z`) for `steps` steps in a row.
    The learning rate is multiplied by `lr_cut` and the clipping bound by `clip_cut`. *Volatility*: the standard deviation of
    the loss over the short horizon is more than `volatility` times that over the medium horizon, outside the regime `warming`.
    Where there is a data mix, `mix_shift` of it moves from the hardest third to the easiest. *Stagnation*: the regime was a
    plateau for `stagnation` steps. The mix becomes harder by `mix_shift`; without a mix the learning rate is multiplied by
    `lr_raise`. *Recovery*: for `calm` steps the regime was stable or a plateau and nothing was flagged. Each lowered rate and
    bound goes half of the way back to the config's value, in logarithms, and an easier mix becomes the config's mix again.

    No rule lowers the learning rate's factor below `lowest_lr` or the clipping bound below `lowest_clip`, and stagnation does not
    raise the factor above `highest_lr`.
    """

    remembered: ClassVar = ("over", "stagnant", "calm_steps", "since", "base_clip", "base_lr", "base_easy", "base_hard")

    def __init__(
        self,
        *,
        grad_norm: Annotated[
            float | None, Field(gt=0, description="gradient norm above which a step is trouble; null: use `grad_z`")
        ] = None,
        grad_z: Annotated[
            float, Field(gt=0, description="robust z-score of the gradient norm above which a step is trouble")
        ] = 6.0,
        steps: Annotated[int, Field(ge=1, description="steps of trouble in a row before the rule acts")] = 3,
        lr_cut: Annotated[float, Field(gt=0, lt=1, description="factor on the learning rate in trouble")] = 0.5,
        clip_cut: Annotated[float, Field(gt=0, le=1, description="factor on the clipping bound in trouble")] = 0.5,
        volatility: Annotated[
            float, Field(gt=1, description="ratio of short to medium volatility above which data becomes easier")
        ] = 2.0,
        mix_shift: Annotated[
            float, Field(gt=0, lt=1, description="share of the data mix that one decision moves")
        ] = 0.1,
        stagnation: Annotated[int, Field(ge=1, description="steps on a plateau before the rule acts")] = 100,
        lr_raise: Annotated[float, Field(gt=1, description="factor on the learning rate in stagnation")] = 1.1,
        calm: Annotated[int, Field(ge=1, description="calm steps before settings move back to the config's")] = 50,
        cooldown: Annotated[int, Field(ge=0, description="steps after a decision in which no other is made")] = 20,
        lowest_lr: Annotated[float, Field(gt=0, le=1, description="lower bound of the learning rate's factor")] = 0.05,
        highest_lr: Annotated[float, Field(ge=1, description="upper bound of the learning rate's factor")] = 2.0,
        lowest_clip: Annotated[float, Field(gt=0, description="lower bound of the clipping bound")] = 0.1,
    ) -> None:
        self.grad_norm, self.grad_z, self.steps = grad_norm, grad_z, steps
        self.lr_cut, self.clip_cut, self.lr_raise = lr_cut, clip_cut, lr_raise
        self.volatility, self.mix_shift = volatility, mix_shift
        self.stagnation, self.calm, self.cooldown = stagnation, calm, cooldown
        self.lowest_lr, self.highest_lr, self.lowest_clip = lowest_lr, highest_lr, lowest_clip
        self.over = self.stagnant = self.calm_steps = 0
        self.since = cooldown
        self.base_lr: float | None = None
        self.base_clip: float | None = None
        self.base_easy: float | None = None
        self.base_hard: float | None = None

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """The decision of the first rule that applies."""
        self._remember_base(episode_config)
        value, bound = (state.grad_norm_z, self.grad_z) if self.grad_norm is None else (state.grad_norm, self.grad_norm)
        over = not value <= bound
        self.over = self.over + 1 if over else 0
        self.stagnant = self.stagnant + 1 if state.regime == "plateau" else 0
        calm = state.regime in ("stable", "plateau") and not state.anomaly_flags and not over
        self.calm_steps = self.calm_steps + 1 if calm else 0
        self.since += 1
        if self.since <= self.cooldown:
            return None
        change = (
            self._trouble(state, episode_config)
            or self._volatile(state, episode_config)
            or self._stagnant(episode_config)
            or self._recovered(episode_config)
        )
        if change is None or change[1] == episode_config:
            return None
        self.since = 0
        reason, episode = change
        return Decision(reason, episode=episode)

    def _remember_base(self, episode: EpisodeConfig) -> None:
        if self.base_lr is None:
            self.base_lr, self.base_clip = episode.lr_factor, episode.clip
            if episode.data_mix is not None:
                self.base_easy, self.base_hard = episode.data_mix.easy, episode.data_mix.hard

    def _trouble(self, state: RegimeState, episode: EpisodeConfig) -> tuple[str, EpisodeConfig] | None:
        if self.over < self.steps:
            return None
        clip = episode.clip
        if clip is not None:
            clip = max(clip * self.clip_cut, min(self.lowest_clip, clip))
        lower = max(episode.lr_factor * self.lr_cut, min(self.lowest_lr, episode.lr_factor))
        norm = f"{state.grad_norm:.4g}, robust z-score {state.grad_norm_z:.1f}"
        reason = f"the gradient norm ({norm}) was over its threshold for {self.over} steps"
        self.over = 0
        return reason, episode.changed(lr_factor=lower, clip=clip)

    def _volatile(self, state: RegimeState, episode: EpisodeConfig) -> tuple[str, EpisodeConfig] | None:
        ratio = state.loss_volatility / state.loss_volatility_medium if state.loss_volatility_medium else math.nan
        if episode.data_mix is None or not ratio > self.volatility or state.regime == "warming":
            return None
        return f"the loss varies {ratio:.1f} times as much as before", self._shifted(episode, self.mix_shift)

    def _stagnant(self, episode: EpisodeConfig) -> tuple[str, EpisodeConfig] | None:
        if self.stagnant < self.stagnation:
            return None
        reason = f"on a plateau for {self.stagnant} steps"
        self.stagnant = 0
        if episode.data_mix is not None:
            return reason, self._shifted(episode, -self.mix_shift)
        return reason, episode.changed(lr_factor=min(episode.lr_factor * self.lr_raise, self.highest_lr))

    def _recovered(self, episode: EpisodeConfig) -> tuple[str, EpisodeConfig] | None:
        if self.calm_steps < self.calm:
            return None
        assert self.base_lr is not None
        changes: dict[str, object] = {}
        if episode.lr_factor < self.base_lr:
            changes["lr_factor"] = _halfway(episode.lr_factor, self.base_lr)
        if episode.clip is not None and self.base_clip is not None and episode.clip < self.base_clip:
            changes["clip"] = _halfway(episode.clip, self.base_clip)
        mix = episode.data_mix
        if mix is not None and self.base_easy is not None and self.base_hard is not None and mix.easy > self.base_easy:
            changes["data_mix"] = DataMix(easy=self.base_easy, hard=self.base_hard)
        if not changes:
            return None
        reason, self.calm_steps = f"calm for {self.calm_steps} steps: moving back to the config's values", 0
        return reason, episode.changed(**changes)

    def _shifted(self, episode: EpisodeConfig, easier: float) -> EpisodeConfig:
        """The mix with a share moved from the hardest to the easiest third (or back, when negative)."""
        mix = episode.data_mix
        assert mix is not None
        share = min(easier, mix.hard) if easier > 0 else -min(-easier, mix.easy)
        easy, hard = min(max(mix.easy + share, 0.0), 1.0), min(max(mix.hard - share, 0.0), 1.0)  # rounding
        return episode.changed(data_mix=DataMix(easy=easy, hard=min(hard, 1.0 - easy)))


def _halfway(now: float, goal: float) -> float:
    """The geometric mean of the two, or the goal once it is within a tenth."""
    middle = math.sqrt(now * goal)
    return goal if middle > 0.9 * goal else middle
