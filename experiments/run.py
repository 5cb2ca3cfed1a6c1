"""`python -m experiments.run --experiment NAME --config configs/NAME.yaml`: the experiment or memory run, from a checkout."""

import argparse
import sys
from pathlib import Path


def main() -> None:
    """Run the experiment into `runs/NAME`, or where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiment", required=True, help="its name; the folder is runs/NAME unless --out is given")
    parser.add_argument("--config", required=True, type=Path, help="its YAML: an experiment's, or a memory run's")
    parser.add_argument("--out", type=Path, help="its folder")
    arguments, rest = parser.parse_known_args()
    from trimtab.cli.main import main as command

    out = arguments.out or Path("runs") / arguments.experiment
    sys.argv = ["trimtab", *_command(arguments.config), str(arguments.config), "--out", str(out), *rest]
    command()


def _command(config: Path) -> list[str]:
    """A memory run has pairs where an experiment has arms."""
    from trimtab.config.yaml_file import load_yaml
    from trimtab.errors import ConfigError

    try:
        content, _ = load_yaml(config)
    except ConfigError:
        return ["run"]  # which says what is wrong with it
    return ["memory", "run"] if "pairs" in content and "arms" not in content else ["run"]


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the checkout: `python -m` put it there, and nothing more is imported from it
    main()
