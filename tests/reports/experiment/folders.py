"""An experiment's folder written by hand, so that every figure of its report is known."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.records.runs import make_run, parent, step, summary
from trimtab.evidence import Claim, Comparison, judge_all
from trimtab.records.manifest import with_checksum

QUESTION = "Does a guard help?"
LOSSES = {"plain": [2.0, 2.1, 2.2, 2.05, 2.15, 2.25], "guard": [1.9, 2.1, 1.9, 1.85, 2.0, 2.0]}
"""The final validation losses by seed; seed 1's are equal, as the guard never acted there."""

STEPS = 20
METRICS = [
    {"name": "val_loss", "higher_is_better": False, "unit": "nats per token", "cap": "untrained_loss"},
    *({"name": f"stability.{name}", "higher_is_better": False, "label": name.replace("_", " ")}
      for name in ("unstable_steps", "flagged_steps", "skipped_steps", "rewinds")),
]  # fmt: skip
"""The metrics that the kind of run declares, as the experiment records them."""

FORKED = 8
"""The step after which the guard's runs go on by themselves."""


def row(number: int, seed: int, **changes: Any) -> dict[str, Any]:
    loss = 4.0 - 0.1 * number + 0.01 * seed
    regime = "warming" if number <= 10 else "unstable" if number <= 14 else "stable"
    figures = {
        "train_loss": loss,
        "loss_ema": loss + 0.5,
        "loss_volatility": 0.1,
        "regime": regime,
        "tokens": 100 * number,
    }
    struck = {"faults": ["random_labels"]} if number in (10, 11) else {}
    return step(number, **{**figures, "skipped": False, **struck, **changes})


def evaluation(number: int, value: float) -> dict[str, Any]:
    return {"step": number, "attempt": 0, "tokens": 100 * number, "val_loss": value}


def ended(value: float, status: str = "completed", **metrics: Any) -> Any:
    stability = {"unstable_steps": 4, "flagged_steps": 3, "skipped_steps": 1, "rewinds": 0}
    figures = {"val_loss": value, "untrained_loss": 4.5, "stability": stability, **metrics}
    return summary(status=status, steps=STEPS, metrics=figures)


def verdicts(arms: tuple[str, ...] = ("guard",)) -> list[dict[str, Any]]:
    claim = Claim("val_loss", False, 0.02)
    values = [(LOSSES["plain"], LOSSES["guard"])] * len(arms)
    pairs = [[b - a for a, b in zip(*sides, strict=True)] for sides in values]
    comparisons = [Comparison("val_loss", d, claim, "plain", arm, "fork") for arm, d in zip(arms, pairs, strict=True)]
    comparisons += [
        Comparison("best_val_loss", d, None, "plain", arm, "fork") for arm, d in zip(arms, pairs, strict=True)
    ]
    result = []
    for verdict in judge_all(comparisons):
        own = {"seeds": list(range(6)), "baseline_values": LOSSES["plain"], "treatment_values": LOSSES["guard"],
               "planned": 6, "failed": []}  # fmt: skip
        differences = [b - a for a, b in zip(LOSSES["plain"], LOSSES["guard"], strict=True)]
        result.append(verdict.as_dict() | own | {"differences": differences})
    return result


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def write_progress(folder: Path, content: dict[str, Any]) -> None:
    plain = {key: value for key, value in content.items() if key != "checksum"}
    write_json(folder / "experiment.json", with_checksum(plain))


def make_experiment(
    folder: Path, *, question: str = QUESTION, status: str = "completed", treatment: str = "guard"
) -> Path:
    """Six seeds of a baseline and of a lazily forked treatment, which never acted in seed 1."""
    design: dict[str, Any] = {
        "question": question,
        "claim": {"metric": "val_loss", "higher_is_better": False, "margin": 0.02, "alpha": 0.05, "scale": "plain"},
        "arms": {"plain": {}, treatment: {"episode.regime_controller": {"name": "spike_guard"}}},
        "baseline": "plain",
        "seeds": 6,
        "pairing": {"name": "lazy_fork", "at": None},
        "threads": 1,
    }
    folder.mkdir(parents=True)
    (folder / "experiment.yaml").write_text(yaml.safe_dump(design, sort_keys=False))
    states = {}
    for seed in range(6):
        plain, own = f"episodes/plain/seed-{seed}", f"episodes/{treatment}/seed-{seed}"
        rows = [row(n, seed, seconds=0.5) for n in range(1, STEPS + 1)]
        tested = [evaluation(10, 3.0), evaluation(20, LOSSES["plain"][seed])]
        make_run(folder / plain, rows, tested, [], ended(LOSSES["plain"][seed]), run_id=f"run-{seed}", seed=seed)
        states[plain] = {"status": "completed", "saved_steps": 0}
        if seed == 1:
            (folder / own).mkdir(parents=True)
            write_json(folder / own / "same_as.json", {"run_id": "run-1", "reason": "never acted"})
            states[own] = {"status": "same", "saved_steps": STEPS}
            continue
        rows = [row(n, seed, seconds=1.0, train_loss=1.0, loss_ema=1.5) for n in range(FORKED + 1, STEPS + 1)]
        tested = [evaluation(10, 2.5), evaluation(20, LOSSES["guard"][seed])]
        shown = [
            {"step": 11, "attempt": 0, "kind": "decision_skip", "reason": "a spike", "before": None, "after": None}
        ]
        about = {"run_id": f"guard-{seed}", "seed": seed, "parent": parent(f"run-{seed}", FORKED)}
        make_run(folder / own, rows, tested, shown, ended(LOSSES["guard"][seed]), **about)
        states[own] = {"status": "completed", "saved_steps": FORKED}
    progress = {
        "question": question,
        "spec_hash": "5bec",
        "metrics": METRICS,
        "explored": ["best_val_loss"],
        "created_at": "2026-01-01T00:00:00.000000+00:00",
        "trimtab": "0.1.0",
        "git_commit": "abc123",
        "git_dirty": False,
        "command": ["trimtab", "run", "guard.yaml", "--out", "a folder"],
        "status": status,
        "ended_at": "2026-01-01T01:00:00.000000+00:00",
        "episodes": states,
        "events": [
            {"time": "T", "episode": own, "status": "lost", "error": "its worker process died; it is tried once more"}
        ],
    }
    write_progress(folder, progress)
    if status == "completed":
        write_json(folder / "verdicts.json", verdicts((treatment,)))
    return folder


def add_optional(folder: Path) -> None:
    """Every file that an experiment may leave besides."""
    scores = [{"arm": "guard", "seed": s, "faults": 1, "recall": s % 2, "false_alarms": 2, "delay": "nan" if s == 0 else 3.0,
               "excess": 10.0 + s} for s in range(6)]  # fmt: skip
    write_json(folder / "detection.json", scores)
    one = {"arm": "guard", "step": 11, "attempt": 0, "kind": "decision_skip", "reason": "a <b>spike</b>"}
    effects = [{"arm": "guard", "metric": "train_loss", "mean": -0.25, "low": -0.5, "high": 0.0, "runs": 5, "interventions": 5,
                "level": 0.95, "note": None}]  # fmt: skip
    every = [{**one, "seed": s, "effect": {"train_loss": -0.05 * s, "val_loss": "nan"}} for s in (0, 2, 3, 4, 5)]
    content = {"horizon": 5, "decisions": 5, "interventions": every, "effects": effects}
    write_json(folder / "interventions.json", content)
    floor = {"metric": "val_loss", "pairing": "fork", "at": 8, "pairs": 6, "noise_floor": 0.013, "differences": [0.01] * 6,
             "floors": {"val_loss": 0.013}}  # fmt: skip
    write_json(folder / "noise_floor.json", floor)
    runs = [{"overrides": {"episode.clip": c}, "seed": 0, "status": "completed", "value": 2.0 + c} for c in (0.5, 1.0)]
    tuned = {
        "over": {"episode.clip": [0.5, 1.0]},
        "metric": "val_loss",
        "runs": runs,
        "chosen": {"episode.clip": 0.5},
        "steps": 40,
    }
    write_json(folder / "tuning.json", {"arms": {"guard": tuned}})


def make_factors(folder: Path) -> Path:
    """Two arms over three learning rates, two seeds, with a largest exponent; the hottest runs diverged."""
    rates = [0.001, 0.01, 0.1]
    design = {
        "question": "Which is less sensitive?",
        "claim": {"metric": "sensitivity", "higher_is_better": False, "margin": 0.02},
        "arms": {"plain": {}, "other": {"episode.clip": 0.1}},
        "baseline": "plain",
        "factors": {"episode.optimizer.lr": rates},
        "derived": {"name": "sensitivity", "over": "episode.optimizer.lr", "metric": "val_loss"},
        "seeds": 2,
        "pairing": {"name": "seed"},
    }
    folder.mkdir(parents=True)
    (folder / "experiment.yaml").write_text(yaml.safe_dump(design, sort_keys=False))
    for arm in ("plain", "other"):
        for seed in (0, 1):
            for place, rate in enumerate(rates):
                value = [2.5, 2.0, 9.0][place] + 0.1 * seed
                metrics = {"instruments": {"largest_exponent": {"value": [-0.02, -0.01, 0.01][place] + 0.001 * seed}}}
                over = ended(value, "diverged" if place == 2 else "completed", **metrics)
                rows = [row(n, seed) for n in range(1, 6)]
                make_run(
                    folder / f"episodes/{arm}/seed-{seed}/lr-{rate}", rows, [evaluation(5, value)], [], over, seed=seed
                )
    write_progress(
        folder,
        {
            "question": design["question"],
            "spec_hash": "5bec",
            "metrics": METRICS,
            "created_at": "T",
            "trimtab": "0.1.0",
            "status": "completed",
        },
    )
    return folder
