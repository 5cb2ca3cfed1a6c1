"""The metrics of memory runs."""

from collections.abc import Mapping
from typing import Any

from trimtab.memory.analysis.disturbances import disturbance_names
from trimtab.memory.config import MemoryConfig
from trimtab.records.metrics import Metric, Metrics

_SHARES = {
    "single": ("single_question", "single_answer"),
    "joint": ("joint",),
    "paraphrases": ("joint_paraphrases",),
    "generation": ("pass_fp32", "pass_bf16"),
}
"""By stage, the metrics that are shares of a run's pairs. Counterfactual pairs are not listed, because there may be none."""

_LABELS = {"joint.share": "pairs solved", "pass_fp32.share": "decoded, fp32", "pass_bf16.share": "decoded, bf16"}


def metrics_of(config: MemoryConfig) -> Metrics:
    """The metrics that every run with this config has, however many pairs it solves."""
    listed = set(config.stages)
    shares = [f"{name}.share" for stage, own in _SHARES.items() if stage in listed for name in own]
    bf16_share = "pass_bf16.share"
    known = [Metric(name, True, label=_LABELS.get(name, "")) for name in shares]
    always = [metric for metric in known if metric.name != bf16_share or config.solve.precision == "bf16"]
    if "joint" in listed:
        always.append(Metric("joint.pair_steps", False, "steps", label="steps per pair"))
    if "analysis" in listed:
        always += [
            Metric(f"recalled.{name}", True, label=f"recalled, {_disturbance(name)}") for name in disturbance_names()
        ]
    return Metrics(
        always=tuple(always),
        sometimes=tuple(metric for metric in known if metric not in always),
        refused={
            "robustness.": "counts solved memories only, so an arm would gain by leaving hard pairs unsolved. Claim "
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


def _disturbance(name: str) -> str:
    kind, _, level = name.partition("_")
    return f"{float(level):.0%} {kind}" if level else kind


def headline(metrics: Mapping[str, Any]) -> str | None:
    """The number of solved pairs in words; None before the joint stage."""
    joint = metrics.get("joint")
    if not isinstance(joint, dict) or not {"solved", "pairs"} <= joint.keys():
        return None
    return f"{joint['solved']} of {joint['pairs']} pairs solved"
