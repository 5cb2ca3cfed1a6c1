"""A memory run in a folder: begun, gone on with after any kill, and told in its records."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trimtab import __version__
from trimtab.config import RunError, config_hash
from trimtab.config.memory import MemoryConfig
from trimtab.evidence import wilson_interval
from trimtab.memory import stages
from trimtab.memory.analysing import analyse, analysed
from trimtab.memory.baselines import baseline_rows, bounds_of, control_rows
from trimtab.memory.gates import Gate
from trimtab.memory.generation import generation_rows
from trimtab.memory.opening import network_of, open_run
from trimtab.memory.pairs import counterfactuals, encode_pairs
from trimtab.memory.stages import Bench, solved
from trimtab.memory.staging import Bounds, StageInterruptedError, Watcher
from trimtab.memory.store import Memory, load_memories
from trimtab.records import (
    JsonlWriter,
    Manifest,
    RunDirectory,
    Status,
    Summary,
    clean_leftovers,
    environment,
    git_state,
    new_run_id,
    now,
    numeric_differences,
    peak_rss_mb,
    read_rows,
    to_json,
)
from trimtab.records.atomic import write_bytes, write_json, write_text
from trimtab.records.jsonl import encode_row

CONFIG = "memory.yaml"


class MemoryRun:
    """A memory run in the folder `out`, new or to be gone on with.

    Every part writes its records when it is whole, and is found done later; the stages that solve candidates keep their own
    checkpoints. So a run that is killed goes on where it was, and ends with the records that it would have had.

    Raises:
        RunError: the folder holds something else, or what the run depends on has changed (unless `accept_changes`).
        ConfigError, DataError: what the config names is not there or does not fit; nothing is written then.
    """

    def __init__(
        self,
        config: MemoryConfig,
        out: Path,
        watcher: Watcher,
        *,
        gated: bool = True,
        accept_changes: bool = False,
        command: Sequence[str] = (),
    ) -> None:
        self.run, self.folder, self.watcher, self.gated = RunDirectory(out), Path(out), watcher, gated
        self.accept_changes, self.command = accept_changes, list(command)
        begun = self.run.exists()
        if not begun:
            self.run.check_free()
        then = self.run.manifest() if begun else None
        recorded = None if then is None else then.config.get("solve", {}).get("positions")
        self.opened = open_run(config, recorded)
        self.then = then
        self.gates: list[Gate] = []

    def go(self) -> dict[str, Any]:
        """Do what is left of the protocol; returns status, metrics and the folder."""
        opened = self.opened
        with self.run.lock() if self.then is not None else self.run.create():
            clean_leftovers(self.folder)
            clean_leftovers(self.folder / "memories")
            self._begin()
            self.run.clear_summary()
            with JsonlWriter(self.run.events_path) as events:
                self.events = events
                if self.then is None:
                    self._tell("data", f"{len(opened.pairs)} pairs of {opened.config.pairs.name}")
                    for reason in opened.reading.skipped:
                        self._tell("pair_skipped", reason)
                    for one in opened.skipped:
                        self._tell("pair_skipped", f"{one.pair}: {one.reason}")
                started = time.perf_counter()
                try:
                    status: Status = self._protocol()
                except StageInterruptedError as asked:
                    status = "interrupted"
                    self._tell("end", str(asked))
                metrics = self._metrics()
                Summary(
                    status=status,
                    steps=sum(len(read_rows(path)) for path in sorted(self.folder.glob("stages/**/steps.jsonl"))),
                    metrics=metrics,
                    weights_sha256=None,
                    tokens_per_second=None,
                    seconds=time.perf_counter() - started,
                    peak_rss_mb=peak_rss_mb(),
                ).write(self.run.summary_path)
        return {
            "status": status,
            "metrics": metrics,
            "gates": [one.row() for one in self.gates],
            "folder": str(self.folder),
        }

    # --- the protocol ------------------------------------------------------------------------------------------------

    def _protocol(self) -> Status:
        opened, listed = self.opened, set(self.opened.config.stages)
        bench = Bench(
            folder=self.folder,
            config=opened.config,
            network=opened.network,
            modes=opened.modes,
            settings=opened.settings,
            pairs=opened.pairs,
            watcher=self.watcher,
        )
        bounds = self._baselines() if "baselines" in listed else {}
        if "single" in listed and not self._open(stages.single(bench, bounds)):
            return "stopped"
        if "joint" not in listed:
            return "completed"
        if not self._open([stages.joint(bench, bounds, self._warn)]):
            return "stopped"
        memories = list(load_memories(self.folder / "memories", opened.network.fingerprint))
        if memories:
            self._rows("controls.jsonl", lambda: control_rows(opened.network, memories, opened.settings.positions))
        if "counterfactual" in listed:
            self._counterfactual(bench)
        if "generation" in listed and memories:
            self._rows("generation.jsonl", lambda: self._generation(memories))
        if "ablations" in listed:
            self._ablations(bench, bounds)
        if "analysis" in listed and memories:
            analyse(bench, memories, opened.tokenizer, bounds, lambda: network_of(opened.config, "fp32"))
        return "completed"

    def _baselines(self) -> dict[str, Bounds]:
        opened = self.opened
        rows = self._rows("baselines.jsonl", lambda: self._baseline_rows(opened.pairs))
        return {row["pair"]: bounds_of(row) for row in rows}

    def _baseline_rows(self, pairs: Sequence[Any]) -> list[dict[str, Any]]:
        opened, settings = self.opened, self.opened.settings
        self.watcher.say(f"Baselines of {len(pairs)} pairs.")
        return baseline_rows(
            opened.network,
            opened.modes,
            pairs,
            opened.tokenizer,
            vectors=settings.vectors,
            layout=settings.layout,
            seed=settings.seed,
            positions=settings.positions,
        )

    def _counterfactual(self, bench: Bench) -> None:
        opened, config = self.opened, self.opened.config
        made = counterfactuals([pair.pair for pair in opened.pairs[: config.single_pairs]], config.seed)
        encoded = encode_pairs(
            made,
            opened.tokenizer,
            longest_question=None,
            longest_answer=None,
            context=opened.network.context,
            overhead=config.vectors + 8,
        )
        rows = self._rows("baselines_counterfactual.jsonl", lambda: self._baseline_rows(encoded.pairs))
        stages.further(bench, "joint_counterfactual", encoded.pairs, {row["pair"]: bounds_of(row) for row in rows})

    def _generation(self, memories: Sequence[Memory]) -> list[dict[str, Any]]:
        opened, config = self.opened, self.opened.config
        self.watcher.say(f"Greedy decoding of {len(memories)} memories.")
        rows = generation_rows(opened.network, config.solve.precision, memories, opened.tokenizer, opened.end)
        if config.solve.precision != "fp32":
            exact = network_of(config, "fp32")
            rows = generation_rows(exact, "fp32", memories, opened.tokenizer, opened.end) + rows
        return rows

    def _ablations(self, bench: Bench, bounds: Mapping[str, Bounds]) -> None:
        asked, cells = self.opened.config.ablations, []
        count = len(bench.pairs[: asked.pairs])
        for kind, values, key in (("vectors", asked.vectors, "vectors"), ("learning_rate", asked.learning_rate, "lr")):
            for value in values:
                rows = stages.ablation(bench, f"{kind}-{value:g}", bounds, **{key: value})
                cells.append(_cell(kind, value, count, rows, bounds))
        thresholds = {
            str(share): min(
                (cell["value"] for cell in cells if cell["ablation"] == "vectors" and cell["share"] >= share),
                default=None,
            )
            for share in (0.5, 0.95)
        }
        write_json(self.folder / "ablations.json", to_json({"cells": cells, "k_thresholds": thresholds}))

    # --- records -----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        opened, config = self.opened, self.opened.config
        fields = self._fields()
        if self.then is not None:
            self._refuse_changes(self.then, fields)
            return
        commit, dirty = git_state(Path(__file__).parent)
        plain = yaml.safe_dump(config.plain, sort_keys=False, allow_unicode=True)
        write_text(self.folder / CONFIG, plain)
        rows = [
            {
                "pair": pair.pair.id,
                "index": index,
                "question": pair.pair.question,
                "answer": pair.pair.answer,
                "question_tokens": len(pair.question),
                "answer_tokens": len(pair.answer),
                "metadata": dict(pair.pair.metadata),
            }
            for index, pair in enumerate(opened.pairs)
        ]
        write_bytes(self.folder / "pairs.jsonl", b"".join(map(encode_row, rows)))
        Manifest.model_validate(
            {
                "run_id": new_run_id(),
                "created_at": now(),
                "git_commit": commit,
                "git_dirty": dirty,
                "hooks": [],
                "command": self.command,
                "trimtab": __version__,
                **fields,
            }
        ).write(self.run.manifest_path)

    def _fields(self) -> dict[str, Any]:
        opened, config = self.opened, self.opened.config
        assert isinstance(config.threads, int)
        return {
            "config_hash": config_hash(config),
            "config": config.plain,
            "seed": config.seed,
            "data": {"name": config.pairs.name, "fingerprint": opened.reading.fingerprint},
            "model": {
                "parameters": sum(parameter.numel() for parameter in opened.network.parameters()),
                "trained": 0,
                "fingerprint": opened.network.fingerprint,
            },
            "environment": environment(config.threads, config.solve.precision, config.device),
        }

    def _refuse_changes(self, then: Manifest, fields: Mapping[str, Any]) -> None:
        found = []
        if then.config_hash != fields["config_hash"]:
            found.append("the config")
        if then.data.fingerprint != fields["data"]["fingerprint"]:
            found.append("the pairs")
        if then.model is None or then.model.fingerprint != fields["model"]["fingerprint"]:
            found.append("the model's weights")
        if then.environment.get("source_hash") != fields["environment"]["source_hash"]:
            found.append("Trimtab's code")
        found += [
            f"{key}: {a!r} then, {b!r} now"
            for key, a, b in numeric_differences(then.environment, fields["environment"])
        ]
        if found and not self.accept_changes:
            raise RunError(
                f"The memory run in {self.folder} was begun under other conditions: {'; '.join(found)} changed. What follows "
                "would not be what it would have been. Undo the change, choose another --out, or go on with --accept-changes."
            )
        if found:
            with JsonlWriter(self.run.events_path) as events:
                events.write({"time": now(), "kind": "changes_accepted", "reason": "; ".join(found)})

    def _rows(self, name: str, make: Callable[[], Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """The rows of a file, made and written whole if it is not there."""
        path = self.folder / name
        if not path.exists():
            write_bytes(path, b"".join(encode_row(row) for row in make()))
        return read_rows(path, numbers=True)

    def _open(self, gates: Sequence[Gate]) -> bool:
        """Record gates; whether the run goes on."""
        for one in gates:
            self._tell("gate", f"{one.gate}: {one.message}")
        self.gates = [*self.gates, *gates]
        write_json(self.folder / "gates.json", to_json([one.row() for one in self.gates]))
        return all(one.passed for one in gates) or not self.gated

    def _warn(self, found: Gate) -> None:
        self.gates = [*self.gates, found]
        self._tell("gate", f"early: {found.message}")

    def _tell(self, kind: str, reason: str) -> None:
        self.events.write({"time": now(), "kind": kind, "reason": reason})
        self.watcher.say(reason)

    def _metrics(self) -> dict[str, Any]:
        """The figures of what has been done."""
        opened, metrics = self.opened, {"pairs": len(self.opened.pairs), "skipped": len(self.opened.skipped)}
        found: dict[str, Any] = dict(metrics)
        for stage in ("single_question", "single_answer", "joint", "joint_counterfactual", "joint_paraphrases"):
            path = self.folder / "stages" / stage / "candidates.jsonl"
            if path.exists() and (rows := read_rows(path, numbers=True)):
                found[stage] = _share(len(solved(rows)), len({row["pair"] for row in rows}))
        if (path := self.folder / "generation.jsonl").exists():
            rows = read_rows(path)
            for precision in dict.fromkeys(row["precision"] for row in rows):
                own = [row for row in rows if row["precision"] == precision]
                bad = {row["pair"] for row in own if row["verdict"] != "pass"}
                found[f"pass_{precision}"] = _share(len({row["pair"] for row in own}) - len(bad), len(opened.pairs))
        if robust := analysed(self.folder):
            found["robustness"] = robust
        found["seconds"] = {
            str(path.parent.relative_to(self.folder / "stages")): sum(
                row["seconds"] for row in read_rows(path, numbers=True)
            )
            for path in sorted(self.folder.glob("stages/**/steps.jsonl"))
        }
        return found


def _share(hits: int, trials: int) -> dict[str, float]:
    low, high = wilson_interval(hits, trials)
    return {"solved": hits, "pairs": trials, "share": hits / trials, "low": low, "high": high}


def _cell(
    kind: str, value: float, count: int, rows: Sequence[Mapping[str, Any]], bounds: Mapping[str, Bounds]
) -> dict[str, Any]:
    good = [row for row in rows if row["status"] == "solved"]
    low, high = wilson_interval(len(good), count)
    ratios = [
        sum(row["loss"].values()) / sum(bounds[row["pair"]].random.values()) for row in rows if row["pair"] in bounds
    ]
    return {
        "ablation": kind,
        "value": value,
        "pairs": count,
        "solved": len(good),
        "share": len(good) / count,
        "low": low,
        "high": high,
        "mean_steps": sum(row["steps"] for row in good) / len(good) if good else None,
        "mean_loss_ratio": sum(ratios) / len(ratios) if ratios else None,
        "seconds": sum(row["seconds"] for row in rows),
    }


def run_memory(config: MemoryConfig, out: Path, watcher: Watcher, **options: Any) -> dict[str, Any]:
    """Begin the memory run in `out` or go on with it; see `MemoryRun`."""
    return MemoryRun(config, out, watcher, **options).go()
