"""The findings on a file as lines, and as a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.reports.blocks import Block, Listing, Section, Table, Text
from trimtab.reports.page import Report


def lines_of(findings: Mapping[str, Any]) -> list[str]:
    """The findings for people, one line per fact."""
    lines = [
        f"{findings['file']}: {findings['usable']:,} usable {findings['kind']} of {findings['rows']:,} rows, "
        f"sha256 {findings['sha256'][:16]}"
    ]
    lines += [
        f"{name}: median {each['median']:.0f} characters, 95% up to {each['percentile_95']:.0f}, at most {each['most']:.0f}"
        for name, each in findings["characters"].items()
    ]
    return lines + [f"{word}: {sentence}" for word, sentence in judgements_of(findings)]


def judgements_of(findings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is right and wrong with a file: `ok` or `check`, and a sentence."""
    found = [("check", sentence) for sentence in _left_out(findings)]
    duplicates = findings["duplicates"]
    found += [
        _counted(duplicates["prompts"], "rows repeat an earlier prompt", "no prompt is repeated"),
        _counted(duplicates["rows"], "rows repeat an earlier row", "no row is repeated"),
        _counted(duplicates["near"], "pairs of rows are nearly equal", "no rows are nearly equal"),
    ]
    if (labels := findings.get("labels")) is not None:
        low, high = labels["chosen_longer_interval"]
        share = (
            f"the chosen answer is longer in {labels['chosen_longer']:.0%} of the pairs (95%: {low:.0%} to {high:.0%})"
        )
        found.append(("check" if labels["length_is_asymmetric"] else "ok", share))
        found.append(
            _counted(labels["contradictions"], "pairs are also there the other way round", "no pair is contradicted")
        )
    if (validation := findings.get("validation")) is not None:
        shared, near = validation["shared_prompts"], validation["near_prompts"]
        found.append(_counted(shared, "validation prompts are training prompts", "no prompt is in both splits"))
        found.append(_counted(near, "validation prompts are nearly training prompts", "no prompt is nearly in both"))
    for file, each in findings.get("contamination", {}).items():
        what = f"8 words in a row with {file}"
        found.append(_counted(each["rows"], f"rows share {what}", f"no row shares {what}"))
    if (tokens := findings.get("tokens")) is not None:
        found.append(
            _counted(
                tokens["rows_with_unknown_characters"],
                f"texts have characters that the tokenizer {tokens['tokenizer']} lacks",
                f"the tokenizer {tokens['tokenizer']} has all characters",
            )
        )
    return found


def page_of(findings: Mapping[str, Any]) -> Report:
    """The findings as a page."""
    judged = Table("", ("", "finding"), tuple(judgements_of(findings)), words=frozenset({0, 1}))
    sections = [
        Section("findings", "Findings", (judged,)),
        Section("lengths", "Lengths", tuple(_lengths(findings))),
    ]
    near = findings["duplicates"]["near_rows"]
    if near:
        rows = tuple((one["first"], one["second"], f"{one['similarity']:.2f}") for one in near)
        table = Table("Nearly equal rows", ("row", "row", "similarity"), rows, words=frozenset({0, 1}))
        sections.append(Section("near", "Near-duplicates", (table,)))
    facts = (("file", str(findings["file"])), ("sha256", str(findings["sha256"])), ("rows", f"{findings['rows']:,}"))
    sections.append(Section("file", "File", (Listing(facts),)))
    return Report("data", f"Data check: {findings['file']}", tuple(sections), "Made by trimtab data check.")


def _lengths(findings: Mapping[str, Any]) -> Sequence[Block]:
    columns = ("", "least", "median", "mean", "95%", "most")
    blocks: list[Block] = [Table("Characters", columns, _rows(findings["characters"]))]
    tokens = findings.get("tokens")
    if tokens is None:
        return [*blocks, Text("Lengths in tokens need a tokenizer (--tokenizer).", kind="missing")]
    return [*blocks, Table(f"Tokens of {tokens['tokenizer']}", columns, _rows(tokens["lengths"]))]


def _rows(distributions: Mapping[str, Mapping[str, float]]) -> tuple[tuple[str, ...], ...]:
    keys = ("least", "median", "mean", "percentile_95", "most")
    return tuple((name, *(f"{each[key]:.0f}" for key in keys)) for name, each in distributions.items())


def _left_out(findings: Mapping[str, Any]) -> list[str]:
    """Why rows cannot be used, look wrong, or would be left out by a run: a sentence per reason."""
    groups = (
        ("cannot be used", findings["unusable"]),
        ("look wrong", findings["encoding"]),
        ("would be left out", findings.get("tokens", {}).get("would_be_dropped", ())),
    )
    return [
        f"{one['rows']:,} rows {what}: {one['reason']} (first: {one['first']})"
        for what, group in groups
        for one in group
    ]


def _counted(count: int, some: str, none: str) -> tuple[str, str]:
    return ("check", f"{count:,} {some}") if count else ("ok", none)
