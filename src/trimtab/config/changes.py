"""In which keys two configs differ."""

from trimtab.config.schema import EpisodeConfig, RunConfig


def changed_keys(old: RunConfig, new: RunConfig) -> frozenset[str]:
    """The keys of two configs that differ: top-level ones, and those of the episode as `episode.clip`."""
    keys = {name for name in RunConfig.model_fields if name != "episode" and getattr(old, name) != getattr(new, name)}
    for name in EpisodeConfig.model_fields:
        if getattr(old.episode, name) != getattr(new.episode, name):
            keys.add(f"episode.{name}")
    return frozenset(keys)
