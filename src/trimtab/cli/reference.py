"""The generated reference page of every config key and every component (docs/config.md)."""

import sys
from pathlib import Path

from pydantic import BaseModel

from trimtab.config import REGISTRIES
from trimtab.config.catalogue import KeyEntry, components_of, config_keys
from trimtab.experiments.searching.config import SearchConfig
from trimtab.memory.config import MemoryConfig
from trimtab.metacognition.budgets.config import BudgetsConfig
from trimtab.metacognition.recipe.config import ThinkingConfig
from trimtab.training.config import RunConfig

_HEADER = """# Every key of a config

Written by `make docs` from the code; do not edit by hand. `trimtab components` prints the second part on a terminal.
A key marked *changeable* may be changed by a regime controller during a run.

Configs and the values of `--set` are YAML 1.2 (its core schema): `017` is 17, and `yes`, `1:30`, `1_000` and `2020-01-01` are
text. A key without a value is refused: write `null`. Tags are refused, and aliases (`*name`) repeat a value as a copy.

| key | type | default | meaning |
| --- | --- | --- | --- |
"""

_MEMORY = """
# Every key of a memory run

What `trimtab memory run` reads ([memory.md](memory.md)).

| key | type | default | meaning |
| --- | --- | --- | --- |
"""

_SEARCH = """
# Every key of a search

What `trimtab search` reads ([search.md](search.md)). `run` has the keys of a config, as above.

| key | type | default | meaning |
| --- | --- | --- | --- |
"""


_THINKING = """
# Every key of a thinking run

What `trimtab train` reads where the config has `kind: thinking` ([metacognition.md](metacognition.md)). `run` has the keys of a
config, as above.

| key | type | default | meaning |
| --- | --- | --- | --- |
"""


_BUDGETS = """
# Every key of a budget run

What `trimtab train` reads where the config has `kind: budgets` ([metacognition.md](metacognition.md)).

| key | type | default | meaning |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The page as Markdown."""
    lines = [_HEADER.rstrip("\n"), *_rows(RunConfig, ""), _MEMORY.rstrip("\n"), *_rows(MemoryConfig, "")]
    lines += [_SEARCH.rstrip("\n"), *_rows(SearchConfig, ""), _THINKING.rstrip("\n"), *_rows(ThinkingConfig, "")]
    lines += [_BUDGETS.rstrip("\n"), *_rows(BudgetsConfig, "")]
    lines.append(
        "\n# Components\n\nA component is named in a config as `{name: NAME, parameter: value}`; `name` may also be"
    )
    lines.append(
        "a dotted path `package.module:Name` to a class or function of your own. It is imported from installed packages,"
    )
    lines.append("`PYTHONPATH` and the folder that the command is called from (see adding-components.md).")
    for kind, registry in REGISTRIES.items():
        lines.append(f"\n## {kind}\n")
        if not list(registry):
            lines.append("No component of this kind is included yet.")
        for entry in components_of(registry):
            lines.append(f"### {entry.name}\n\n{entry.about} (`{entry.target}`)\n")
            if entry.parameters:
                lines.append("| parameter | type | default | meaning |\n| --- | --- | --- | --- |")
            for one in entry.parameters:
                lines.append(f"| `{one.key}` | {_escaped(one.type)} | {_default(one)} | {_escaped(one.description)} |")
            if entry.parameters:
                lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _rows(model: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for one in config_keys(model, prefix, expand=lambda inner: inner is not RunConfig):
        changeable = " *Changeable.*" if one.changeable else ""
        rows.append(
            f"| `{one.key}` | {_escaped(one.type)} | {_default(one)} | {_escaped(one.description)}{changeable} |"
        )
    return rows


def _default(entry: KeyEntry) -> str:
    return "required" if entry.required else f"`{_escaped(entry.default)}`" if entry.default else ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(arguments: list[str]) -> int:
    """Write the page to the file named last; with `--check` only say whether it is up to date. Returns the exit code."""
    files = [argument for argument in arguments if argument != "--check"]
    if len(files) != 1:
        print("usage: python -m trimtab.cli.reference [--check] FILE", file=sys.stderr)
        return 2
    path = Path(files[0])
    text = page()
    if "--check" in arguments:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return 0
        print(f"{path} is out of date; run `make docs`.", file=sys.stderr)
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
