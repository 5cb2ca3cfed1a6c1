"""The errors that users see. Each message says what was wrong, where, and what to do."""


class TrimtabError(Exception):
    """Base of every error that Trimtab raises on purpose; the command line prints it without a traceback."""

    exit_code = 1


class ConfigError(TrimtabError):
    """A config, an option or a component's parameters are invalid (exit code 2)."""

    exit_code = 2


class DataError(TrimtabError):
    """A corpus, a tokenizer file or another input file cannot be used (exit code 2)."""

    exit_code = 2


class RunError(TrimtabError):
    """A run's folder cannot be used: it belongs to another run, or is locked, damaged or changed (exit code 2)."""

    exit_code = 2


class WorkError(TrimtabError):
    """The input was valid but the work failed, such as a full disk or a hook that broke its contract (exit code 1)."""
