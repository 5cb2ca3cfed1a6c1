"""The screen's side of the child process that validates configs, and the cached list of keys."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import trimtab
from trimtab.boundary import read_regular
from trimtab.config.model_paths import cache_folder
from trimtab.errors import WorkError
from trimtab.records.atomic import write_text

Answer = Callable[[Mapping[str, Any]], None]


class Validator:
    """Asks the child process, which starts at the first question. Answers come in another thread.

    Of several checks that wait, only the latest is made. A child that dies is started again at the next question.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._waiting: tuple[dict[str, Any], Answer] | None = None
        self._asked: dict[int, Answer] = {}
        self._number = 0

    def check(self, kind: str, base: str | None, overrides: Sequence[str], answer: Answer) -> None:
        """Validate a draft; `answer` receives its `config` and `hash`, or the `error`."""
        request = {"ask": "check", "kind": kind, "base": base, "overrides": list(overrides)}
        with self._lock:
            if self._asked:
                self._waiting = (request, answer)
            else:
                self._send(request, answer)

    def catalogue(self, answer: Answer) -> None:
        """Every key and every component, from the child."""
        with self._lock:
            self._send({"ask": "catalogue"}, answer)

    def close(self) -> None:
        """End the child."""
        with self._lock:
            process, self._process = self._process, None
            self._asked, self._waiting = {}, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def _send(self, request: dict[str, Any], answer: Answer) -> None:
        self._number += 1
        self._asked[self._number] = answer
        try:
            process = self._started()
            assert process.stdin is not None
            process.stdin.write(json.dumps({**request, "id": self._number}) + "\n")
            process.stdin.flush()
        except OSError as error:
            self._asked.pop(self._number, None)
            answer({"error": f"The process that checks configs cannot be used: {error.strerror}. Try again."})

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "trimtab.hud.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
            threading.Thread(target=self._read, args=(self._process,), daemon=True, name="answers").start()
        return self._process

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        try:
            for text in process.stdout:
                reply = json.loads(text)
                with self._lock:
                    answer = self._asked.pop(reply["id"], None)
                    if self._waiting is not None and not self._asked:
                        request, then = self._waiting
                        self._waiting = None
                        self._send(request, then)
                if answer is not None:
                    answer(reply)
        except ValueError:
            return  # closed while it was read
        with self._lock:
            lost = self._asked if process is self._process else {}
            if process is self._process:
                self._asked, self._process = {}, None
        for answer in lost.values():
            answer({"error": "The process that checks configs ended. The next change starts it again."})


def catalogue_file() -> Path:
    """The file, in the user's cache, that keeps the catalogue: its name changes with the source code and the packages."""
    digest = hashlib.sha256(sys.version.encode())
    root = Path(trimtab.__file__).parent
    for name, children, files in os.walk(root):
        children[:] = sorted(child for child in children if child != "__pycache__")
        for file in sorted(files):
            status = Path(name, file).stat()
            digest.update(f"{name}/{file} {status.st_mtime_ns} {status.st_size}\n".encode())
    for group in ("trimtab.kinds", "trimtab.components"):
        for point in entry_points(group=group):
            version = "" if point.dist is None else point.dist.version
            digest.update(f"{group} {point.name} {point.value} {version}\n".encode())
    return cache_folder() / f"hud-catalogue-{digest.hexdigest()[:16]}.json"


def cached_catalogue() -> dict[str, Any] | None:
    """The catalogue from its cache; None where there is none."""
    try:
        content = json.loads(read_regular(catalogue_file()))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and {"keys", "components"} <= content.keys() else None


def keep_catalogue(content: Mapping[str, Any]) -> None:
    """Cache a catalogue, and remove those of other installations."""
    path = catalogue_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({"keys": content["keys"], "components": content["components"]}))
        for old in path.parent.glob("hud-catalogue-*.json"):
            if old != path:
                old.unlink(missing_ok=True)
    except (OSError, WorkError):
        return  # without a cache the keys come from the child each time
