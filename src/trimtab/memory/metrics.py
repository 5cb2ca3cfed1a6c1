"""The metrics of memory runs."""

from collections.abc import Mapping
from typing import Any

from trimtab.memory.analysis.disturbing import names
from trimtab.memory.config import MemoryConfig
from trimtab.records.metrics import Metric, Metrics

_SHARES = {
    "single": ("single_question", "single_answer"),
    "joint": ("joint",),
    "paraphrases": ("joint_paraphrases",),
    "generation": ("pass_fp32", "pass_bf16"),
}
"""By stage, the figures that are shares of a run's pairs. That of counterfactual pairs is not among them: there may be none."""


def metrics_of(config: MemoryConfig) -> Metrics:
    """The metrics that every run of the config has, whatever it solves."""
    listed = set(config.stages)
    shares = [f"{name}.share" for stage, own in _SHARES.items() if stage in listed for name in own]
    narrow = "pass_bf16.share"
    always = [Metric(name, True) for name in shares if name != narrow or config.solve.precision == "bf16"]
    if "joint" in listed:
        always.append(Metric("joint.pair_steps", False, "steps"))
    if "analysis" in listed:
        always += [Metric(f"recalled.{name}", True) for name in names()]
    return Metrics(
        always=tuple(always),
        sometimes=tuple(Metric(name, True) for name in shares if name == narrow and config.solve.precision != "bf16"),
        refused={
            "robustness.": "is of solved memories alone, so an arm would gain by leaving hard pairs unsolved. Claim "
            "'recalled.{rest}', which counts an unsolved pair as not recalled"
        },
        explored=(
            "joint.share",
            "joint.pair_steps",
            "pass_fp32.share",
            "pass_bf16.share",
            *(f"recalled.{name}" for name in ("noise_0.02", "noise_0.05", "noise_0.1", "noise_0.2", "int8", "int4")),
        ),
    )


def headline(metrics: Mapping[str, Any]) -> str | None:
    """How many pairs were solved; None before the joint stage."""
    joint = metrics.get("joint")
    if not isinstance(joint, dict) or not {"solved", "pairs"} <= joint.keys():
        return None
    return f"{joint['solved']} of {joint['pairs']} pairs solved"
