"""Searches as a kind of run: the arms of an experiment may be searches."""

from trimtab.config import RunKind

SEARCH = RunKind(
    name="search",
    noun="a search",
    command="trimtab search",
    schema_path="trimtab.experiments.searching.config:SearchConfig",
    components_path="trimtab.experiments.searching.components:REGISTRIES",
    check_path="trimtab.experiments.searching.checks:check_search",
    run_path="trimtab.experiments.searching.run:run_episode",
    metrics_path="trimtab.experiments.searching.metrics:metrics_of",
    report_path="trimtab.reports.search:write_report",
    sections_path="trimtab.reports.experiment.searches:SECTIONS",
    headline_path="trimtab.experiments.searching.metrics:headline",
)
