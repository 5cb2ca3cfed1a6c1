"""How often the 95% intervals hold what they should: prints the table of docs/calibration.md.

python -m tests.evaluation.calibration.coverage
"""

import sys
import time

import numpy as np

from tests.evaluation.calibration.samples import calibrated, clustered, overconfident
from trimtab.evaluation.calibration import calibration_report

FIGURES = ("accuracy", "overconfidence", "ece", "ece_mass", "debiased", "smooth_ece", "brier", "nll", "aurc")

TRUTHS = {
    "calibrated": {"accuracy": 2 / 3, "overconfidence": 0.0, "debiased": 0.0},
    "surer than right by .1": {"accuracy": 0.45, "overconfidence": 0.1, "debiased": 0.1},
}
"""What has a formula; of every other figure the truth is the mean score of samples of the same size."""


def covered(draw, truths, samples, resamples=500, named=True):
    """Of each figure the share of `samples` whose interval held its truth; `draw(seed)` gives a sample, perhaps with clusters."""
    reports = []
    for seed in range(samples):
        confidence, correct, *groups = draw(seed)
        clusters = groups[0] if groups and named else None
        reports.append(calibration_report(confidence, correct, groups=clusters, bootstrap=resamples, null=0, seed=seed))
    shares = {}
    for name in FIGURES:
        result = [getattr(report, name) for report in reports]
        wanted = truths.get(name, np.mean([figure.value for figure in result]))
        shares[name] = float(np.mean([figure.low <= wanted <= figure.high for figure in result]))
    return shares


def main(samples):
    """Print the table."""
    begun = time.process_time()
    print("| confidences | items | " + " | ".join(f"`{name}`" for name in FIGURES) + " |")
    print("| --- " * (2 + len(FIGURES)) + "|")
    rows = [
        (name, n, lambda seed, draw=draw, n=n: draw(n, seed), TRUTHS[name], True)
        for name, draw in (("calibrated", calibrated), ("surer than right by .1", overconfident))
        for n in (100, 1000)
    ]
    for words, named in (("20 clusters, named in `groups`", True), ("the same, not named", False)):
        rows.append((words, 200, lambda seed: clustered(200, seed), {}, named))
    for words, n, draw, truths, named in rows:
        shares = covered(draw, truths, samples, named=named)
        print(
            f"| {words} | {n:,} | "
            + " | ".join(f"{share:.3f}"[1:] if share < 1 else "1" for share in shares.values())
            + " |"
        )
        sys.stdout.flush()
    print(f"\n{samples:,} samples per row; {time.process_time() - begun:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
