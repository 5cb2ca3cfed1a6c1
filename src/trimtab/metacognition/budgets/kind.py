"""Budget runs as a kind of run."""

from trimtab.config import RunKind

BUDGETS = RunKind(
    name="budgets",
    noun="a budget run",
    command="trimtab train",
    schema_path="trimtab.metacognition.budgets.config:BudgetsConfig",
    run_path="trimtab.metacognition.budgets.run:run_budgets",
    metrics_path="trimtab.metacognition.budgets.run:metrics_of",
    headline_path="trimtab.metacognition.budgets.run:headline",
)
