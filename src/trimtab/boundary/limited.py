"""Running one function in a separate process with limits on time, memory and output, for parsers of untrusted files.

On Linux the kernel enforces the limits on processor time, memory and output; the parent limits the elapsed time. macOS does not
honour the limit on memory.
"""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimtab.boundary.foreign import reason_of
from trimtab.errors import WorkError

_CHILD = Path(__file__).with_name("limited_child.py")
_OWN_FOLDER = str(Path(__file__).parents[2])


class LimitedError(Exception):
    """The function raised, exceeded a limit, or ended its process. The text is the reason in one short line."""


def run_limited(
    function: Callable[..., Any], *arguments: Any, seconds: int = 10, memory: int = 1 << 30, output: int = 1 << 20
) -> Any:
    """What `function(*arguments)` returns, computed in a new Python process within limits.

    `function` is a top-level function of a module that does not import Trimtab: the process loads its file by path, with what it
    imports. Arguments and result are JSON values. `seconds` bounds the processor time, `memory` the address space
    in bytes, `output` the bytes of the result as JSON and of any file written. Modules in the working folder are not
    importable. Takes about 50 ms and the imports of the module. Use it inside `foreign`, which makes the error message:

        with foreign(DataError, lambda reason: f"{path} is not a tokenizer: {reason}. Choose another file."):
            facts = run_limited(tokenizer_facts, str(path), seconds=10, memory=2 << 30)

    Raises LimitedError when the function fails or exceeds a limit, and WorkError when no process can be started.
    """
    request = {
        "path": _import_path(),
        "file": sys.modules[function.__module__].__file__,
        "function": function.__name__,
        "arguments": arguments,
        "limits": {"seconds": seconds, "memory": memory, "output": output},
    }
    timeout = 60 + 10 * seconds  # many processes may share a core
    with tempfile.TemporaryFile() as answer:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-X", "utf8", str(_CHILD)],
                input=json.dumps(request).encode(),
                stdout=answer,
                stderr=subprocess.DEVNULL,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LimitedError(f"it takes longer than {timeout} s") from error
        except OSError as error:
            raise WorkError(
                f"A process with limits cannot be started: {error.strerror}. Free some memory, or end other processes."
            ) from error
        answer.seek(0)
        text = answer.read(output + 1)
    return _result(text, done.returncode, seconds=seconds, memory=memory, output=output)


def _result(text: bytes, code: int, *, seconds: int, memory: int, output: int) -> Any:
    if code == -signal.SIGXCPU:
        raise LimitedError(f"it takes more than {seconds} s of processor time")
    if code < 0:
        raise LimitedError(f"the reading process crashed ({signal.Signals(-code).name})")
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise LimitedError(f"the reading process crashed (exit code {code})") from error
    if "result" in answer:
        return answer["result"]
    kind, words = answer["error"]
    if kind == "MemoryError":
        raise LimitedError(f"it needs more than {memory >> 20:,} MB of memory")
    if kind == "OutputTooLong":
        raise LimitedError(f"its result has more than {output:,} bytes")
    raise LimitedError(reason_of(kind, words))


def _import_path() -> list[str]:
    """This process's import path without the working folder, which may contain untrusted files."""
    try:
        here = str(Path.cwd())
    except FileNotFoundError:
        here = ""  # it was deleted
    return [entry for entry in sys.path if entry == _OWN_FOLDER or (Path(entry).is_absolute() and entry != here)]
