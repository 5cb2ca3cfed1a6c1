"""Thinking runs as a kind of run."""

from trimtab.config import RunKind

THINKING = RunKind(
    name="thinking",
    noun="a thinking run",
    command="trimtab train",
    schema_path="trimtab.metacognition.recipe.config:ThinkingConfig",
    run_path="trimtab.metacognition.recipe.run:run_thinking",
    metrics_path="trimtab.metacognition.recipe.metrics:metrics_of",
    report_path="trimtab.metacognition.recipe.report:write_report",
    headline_path="trimtab.metacognition.recipe.metrics:headline",
)
