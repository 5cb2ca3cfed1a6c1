"""Memory runs as a kind of run."""

from trimtab.config import RunKind

MEMORY = RunKind(
    name="memory",
    noun="a memory run",
    command="trimtab memory run",
    schema_path="trimtab.memory.config:MemoryConfig",
    components_path="trimtab.memory.components:REGISTRIES",
    run_path="trimtab.memory.run:run_episode",
    metrics_path="trimtab.memory.metrics:metrics_of",
    report_path="trimtab.reports.memory:write_report",
    sections_path="trimtab.reports.experiment.memories:SECTIONS",
    headline_path="trimtab.memory.metrics:headline",
    config_file="memory.yaml",
)
