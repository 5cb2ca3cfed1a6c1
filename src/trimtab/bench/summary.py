"""All benchmarks in one: what is measured, the table of it, its JSON, and the comparison with an earlier one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.boundary import StrictJsonError, read_regular, strict_json
from trimtab.errors import ConfigError

FORMAT = 1
"""The version of the JSON. Another version may have other figures under the same names."""
PARTS = ("default", "modern", "tiny", "loss", "experiment", "pretrained", "memory", "rss")
SMOLLM2 = "smollm2-135m"
"""The imported model that `pretrained` and `memory` are measured with."""


@dataclass(frozen=True)
class Row:
    """A row of the table, as keys of figures; None where there is no such figure."""

    title: str
    unit: str
    ours: str
    loop: str | None
    peer: str | None
    ratio: str | None
    share: str | None


ROWS = (
    *(
        Row(
            f"training step, {case}",
            "tokens/s",
            f"training.{case}.tokens_per_second.ours",
            f"training.{case}.tokens_per_second.fp32_loop",
            None,
            f"training.{case}.ratio",
            f"training.{case}.share_of_peak",
        )
        for case in ("default", "modern", "tiny")
    ),
    Row(
        "time to the peer's loss",
        "s",
        "time_to_loss.fast.seconds",
        None,
        "time_to_loss.peer.seconds",
        "time_to_loss.fast.times_faster",
        None,
    ),
    Row(
        "an experiment of tiny episodes",
        "episodes/s",
        "experiment.episodes_per_second",
        None,
        None,
        None,
        None,
    ),
    Row(
        "share of its workers' time in steps",
        "%",
        "experiment.percent_in_steps",
        None,
        None,
        None,
        None,
    ),
    Row(
        "pretrained, LoRA step",
        "s",
        "pretrained.lora_step_seconds",
        None,
        None,
        None,
        "pretrained.lora_step_share_of_peak",
    ),
    Row(
        "pretrained, 16 prompts at once",
        "tokens/s",
        "pretrained.generated_tokens_per_second",
        "pretrained.tokens_per_second_one_by_one",
        None,
        "pretrained.generation_ratio",
        None,
    ),
    *(
        Row(
            f"memory, pair-step with {vectors} vectors",
            "s",
            f"memory.ours_seconds_k{vectors}",
            f"memory.plain_seconds_k{vectors}",
            None,
            f"memory.ratio_k{vectors}",
            f"memory.share_of_peak_k{vectors}",
        )
        for vectors in (8, 32)
    ),
    Row(
        "peak memory, default step",
        "MiB",
        "training.peak_rss_mb.ours",
        "training.peak_rss_mb.fp32_loop",
        None,
        None,
        None,
    ),
)


def measure(
    parts: tuple[str, ...], rounds: int, seeds: int, threads: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """The figures of some of `PARTS`. A part is left out, with a message to `say`, if its model is not imported."""
    from trimtab.bench.training import bench_training
    from trimtab.config.model_paths import imported_models

    figures: dict[str, Any] = {}
    for part in parts:
        if part == "loss":
            from trimtab.bench.time_to_loss import bench_time_to_loss

            figures |= bench_time_to_loss(None, seeds, threads, ("peer", "fast"), say)
            continue
        if part == "experiment":
            from trimtab.bench.experiment import bench_experiment

            figures |= bench_experiment(threads, say)
            continue
        if part == "rss":
            from trimtab.bench.peak_rss import peak_memory

            figures |= peak_memory()
            continue
        if part not in ("pretrained", "memory"):
            figures |= bench_training(part, rounds, say)
            continue
        path = imported_models() / SMOLLM2
        if not path.is_dir():
            say(f"{part} is not measured, as it needs {SMOLLM2}: trimtab models import {SMOLLM2}")
        elif part == "pretrained":
            from trimtab.bench.pretrained import bench_pretrained

            figures |= bench_pretrained(str(path), max(2, rounds // 3), threads, say)
        else:
            from trimtab.bench.content_memory import bench_memory

            figures |= bench_memory(str(path), max(3, rounds // 2), threads, say)
    return figures


def table(figures: Mapping[str, Any]) -> list[list[str]]:
    """The rows of what was measured: title, ours, plain loop, peer, ratio, share of peak."""
    rows = []
    for row in ROWS:
        if row.ours in figures:
            keys = (row.ours, row.loop, row.peer)
            values = [_number(figures.get(key)) if key is not None else "" for key in keys]
            ratio = figures.get(row.ratio) if row.ratio else None
            share = figures.get(row.share) if row.share else None
            rows.append(
                [
                    f"{row.title} ({row.unit})",
                    *values,
                    "" if ratio is None else f"{ratio:.2f}",
                    "" if share is None else f"{share:.0%}",
                ]
            )
    return rows


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def document(figures: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """The JSON of a measurement: its format, where it was made, and the figures."""
    from trimtab.records.environment import environment

    made_on = environment(threads, str(figures.get("training.default.precision", "auto")), "cpu")
    kept = ("python", "platform", "trimtab", "torch", "cpu", "cpu_capability", "cores", "threads")
    return {"format": FORMAT, "machine": {name: made_on[name] for name in kept}, "figures": dict(figures)}


def read_document(path: Path) -> dict[str, Any]:
    """An earlier measurement. Raises `ConfigError` for anything but a JSON of this format."""
    try:
        content = strict_json(read_regular(path, at_most=1 << 20))
    except (OSError, StrictJsonError) as error:
        raise ConfigError(
            f"--compare: {path} cannot be read: {error}. Give a file of `trimtab bench --json`."
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("figures"), dict) or "format" not in content:
        raise ConfigError(f"--compare: {path} has no figures. Give a file of `trimtab bench --json`.")
    if content["format"] != FORMAT:
        raise ConfigError(
            f"--compare: {path} has the format {content['format']!r}, and this version of Trimtab reads format {FORMAT}. Measure "
            "again with the version that wrote it, or compare with another file."
        )
    return content


def changes(figures: Mapping[str, Any], earlier: Mapping[str, Any]) -> list[list[str]]:
    """Each figure of the table that both have: title, earlier, now, how many times better it is now."""
    rows = []
    for row in ROWS:
        old, new = earlier.get(row.ours), figures.get(row.ours)
        if isinstance(old, int | float) and isinstance(new, int | float) and old > 0 and new > 0:
            better = new / old if row.unit.endswith(("/s", "%")) else old / new
            rows.append([f"{row.title} ({row.unit})", _number(old), _number(new), f"{better:.2f}"])
    return rows
