"""What a controller's decision changes in the episode's config, and whether it may."""

import json
from typing import Any

from trimtab.config import EpisodeConfig, WorkError
from trimtab.regimes import Decision


def changes_of(decision: Decision, episode: EpisodeConfig, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of `episode` that a decision at `step` changes, with their values before and after; {} where it changes none.

    Raises `WorkError` for a key that may not change during a run, and for a config that is not valid.
    """
    if decision.episode is None or decision.episode == episode:
        return {}, {}
    old, new = episode.model_dump(mode="json"), decision.episode.model_dump(mode="json")
    changed = [key for key in new if new[key] != old[key]]
    if illegal := sorted(set(changed) - EpisodeConfig.changeable()):
        raise WorkError(
            f"The regime controller changed {', '.join(illegal)} at step {step}. Only "
            f"{', '.join(sorted(EpisodeConfig.changeable()))} may change during a run."
        )
    try:
        EpisodeConfig.model_validate_json(json.dumps(new), strict=True)  # `model_copy` checks nothing
    except ValueError as error:
        raise WorkError(f"The regime controller's decision at step {step} is not a valid config: {error}") from error
    return {key: old[key] for key in changed}, {key: new[key] for key in changed}
