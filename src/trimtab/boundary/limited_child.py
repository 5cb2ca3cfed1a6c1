"""The program that `run_limited` starts: it reads a request, limits itself and prints the result. It imports no Trimtab.

Only the standard library is loaded before the limits are set.
"""

import importlib.util
import json
import resource
import signal
import sys
from typing import Any


def main() -> None:
    """Answer a request on standard input by one JSON value on standard output: `{"result": …}` or `{"error": [type, text]}`."""
    request = json.loads(sys.stdin.buffer.read())
    limits = request["limits"]
    sys.path[:] = request["path"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that waits for the answer
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, limits["seconds"])
    _limit(resource.RLIMIT_FSIZE, limits["output"])  # the answer goes to a file
    _limit(resource.RLIMIT_AS, limits["memory"])
    answer = _answer(request)
    if len(answer) > limits["output"]:
        answer = _error("OutputTooLong", "")
    sys.stdout.buffer.write(answer)


def _answer(request: dict[str, Any]) -> bytes:
    try:
        spec = importlib.util.spec_from_file_location("limited", request["file"])
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        result = getattr(module, request["function"])(*request["arguments"])
        return json.dumps({"result": result}).encode()
    except MemoryError:
        pass  # answered below, after the traceback has released what it holds
    except BaseException as error:  # noqa: BLE001 - whatever the parser raises, panics of Rust libraries too, is the answer
        return _error(type(error).__name__, str(error)[:2000])
    return _error("MemoryError", "")


def _error(kind: str, text: str) -> bytes:
    return json.dumps({"error": [kind, text]}).encode()


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(which, (value, hard if which == resource.RLIMIT_CPU else value))
    except (ValueError, OSError):
        if sys.platform != "darwin":  # macOS refuses some values for the address space
            raise


if __name__ == "__main__":
    main()
