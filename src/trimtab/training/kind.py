"""Training runs as a kind of run."""

from trimtab.config import RunKind

TRAINING = RunKind(
    name="training",
    noun="a training run",
    command="trimtab train",
    schema_path="trimtab.training.config:RunConfig",
    components_path="trimtab.training.components:REGISTRIES",
    check_path="trimtab.training.checks:check_run",
    run_path="trimtab.training.runs.lifecycle:train_or_resume",
    metrics_path="trimtab.training.metrics:metrics_of",
    sections_path="trimtab.reports.experiment.page:TRAINING_SECTIONS",
    headline_path="trimtab.training.metrics:headline",
    steps=True,
)
