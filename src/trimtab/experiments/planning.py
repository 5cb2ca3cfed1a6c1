"""What an experiment's pairs can show, in words; no torch is needed for it."""

from trimtab.evidence import plan
from trimtab.evidence.rule import FEWEST_PAIRS
from trimtab.experiments.spec import Experiment


def planned(experiment: Experiment) -> str:
    """What the experiment's pairs can show, as text. Raises `ConfigError` when they cannot show what is claimed."""
    claim, claims = experiment.claim, len(experiment.treatments)
    if experiment.sequential:
        most = experiment.budget.pairs or len(experiment.seed_list)
        return (
            f"Pairs one at a time, {most} at most and {FEWEST_PAIRS} at least, until the e-process decides "
            f"{'the claim' if claims == 1 else f'all {claims} claims'}, each at the level {claim.alpha / claims:.3g}."
        )
    return plan(len(experiment.seed_list), claims, alpha=claim.alpha, margin=claim.margin, scale=claim.scale)
