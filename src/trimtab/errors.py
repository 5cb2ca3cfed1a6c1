"""The errors a user may see. Each message says what was wrong, where, and what to do."""


class TrimtabError(Exception):
    """Base of every error that Trimtab raises on purpose; the command line prints it without a traceback."""

    exit_code = 1


class ConfigError(TrimtabError):
    """A config, an option or a component's parameters are wrong (exit code 2)."""

    exit_code = 2


class DataError(TrimtabError):
    """A corpus, a tokenizer file or another input file cannot be used (exit code 2)."""

    exit_code = 2


class RunError(TrimtabError):
    """A run directory cannot be used as asked: another run's, locked, damaged or changed (exit code 2)."""

    exit_code = 2


class WorkError(TrimtabError):
    """The input was right but the work failed: a full disk, a hook that broke its promise (exit code 1)."""
