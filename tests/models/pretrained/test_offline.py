"""No code path uses the internet, the extra is optional, and heavy packages are imported only when needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.pretrained.folders import write
from tests.models.pretrained.gguf_files import write_gguf
from trimtab.config import REGISTRIES, ConfigError
from trimtab.config.offline import local_folder, offline_import
from trimtab.training.config import resolve_config

BLOCKED = """
import socket

attempts = []


def refuse(*arguments, **options):
    attempts.append(arguments)
    raise OSError("no network in this test")


socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.create_connection = socket.getaddrinfo = refuse
"""

USE = """
import sys
import torch
from trimtab.models.pretrained.chat import chat_prompt
from trimtab.models.pretrained.importing import import_gguf
from trimtab.models.pretrained.model import Pretrained
from trimtab.models.pretrained.adaptation import Lora
from trimtab.data import PretrainedTokenizer
from pathlib import Path

folder, gguf, out = map(Path, sys.argv[1:])
for path in (folder, gguf):
    model = Pretrained(path=str(path), adapt=(Lora(rank=2),))
    model(torch.ones(1, 4, dtype=torch.long)).sum().backward()
model = Pretrained(path=str(folder), adapt=(Lora(rank=2),))
model.save(out / "merged")
model.save(out / "adapter", adapter=True)
imported = import_gguf(gguf, out / "imported").path
assert PretrainedTokenizer(path=imported).end == 2
assert "Why?" in chat_prompt(imported, [{"role": "user", "content": "Why?"}])
assert not attempts, attempts
try:
    socket.create_connection(("example.org", 80), timeout=1)
except OSError:
    pass
assert attempts, "connections are not blocked"
"""


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRIMTAB_SWITCHED"))}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**clean, **environment},
    )


ALREADY = pytest.param("import huggingface_hub, transformers, peft", marks=pytest.mark.slow)


@pytest.mark.parametrize("before", ["", ALREADY], ids=["fresh", "already imported"])
def test_nothing_connects_to_the_internet(before: str, tmp_path: Path) -> None:
    folder, gguf = write(tmp_path / "model", "llama"), write_gguf(tmp_path / "tiny.gguf")
    done = run(f"{before}\n{BLOCKED}\n{USE}", str(folder), str(gguf), str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_offline_mode_is_set_before_the_hub_libraries_are_imported() -> None:
    done = run(
        "from trimtab.config.offline import offline_import; offline_import('transformers');"
        "from huggingface_hub import constants as c; print(c.HF_HUB_OFFLINE, c.HF_HUB_DISABLE_TELEMETRY)"
    )
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_transformers_is_imported_only_when_a_pretrained_model_is_used() -> None:
    code = (
        "import sys; import trimtab.models, trimtab.data, trimtab.training, trimtab.cli.models;"
        "from trimtab.config import REGISTRIES; REGISTRIES['model'].resolve({'name': 'pretrained', 'path': 'x'});"
        "print(sorted({'transformers', 'peft', 'gguf', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert run(code).stdout.strip() == "[]"


def test_without_the_extra_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", "llama")
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "from trimtab.models.pretrained.model import Pretrained; Pretrained(path=sys.argv[1])"
    )
    done = run(code, str(folder))
    assert "ConfigError: Pretrained models need the package transformers" in done.stderr
    assert "pip install 'trimtab[pretrained]'" in done.stderr


def test_a_missing_package_is_reported_as_a_missing_extra() -> None:
    with pytest.raises(ConfigError, match=r"trimtab\[pretrained\]"):
        offline_import("no_such_package_here")


@pytest.mark.parametrize("kind", ["model", "tokenizer"])
def test_a_hub_id_needs_to_be_allowed(kind: str) -> None:
    spec = {"name": "pretrained", "path": "owner/name"}
    assert REGISTRIES[kind].resolve(spec)["path"] == "owner/name"  # a folder, until the hub is allowed
    assert REGISTRIES[kind].resolve({**spec, "allow_hub": True})["path"] == "hub:owner/name"
    with pytest.raises(ConfigError, match="path: hub:owner/name is an id on the Hugging Face hub; set allow_hub"):
        REGISTRIES[kind].resolve({**spec, "path": "hub:owner/name"})
    with pytest.raises(ConfigError, match="hub id is written hub:owner/name"):
        REGISTRIES[kind].resolve({**spec, "path": "hub:name", "allow_hub": True})


def test_a_hub_id_is_not_made_an_absolute_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    model = {"name": "pretrained", "path": "owner/name", "allow_hub": True}
    config = resolve_config({"model": model}, source="test")
    assert config.model.spec["path"] == "hub:owner/name"
    here = resolve_config({"model": {"name": "pretrained", "path": "owner/name"}}, source="test")
    assert here.model.spec["path"] == str(tmp_path / "owner" / "name")


def test_a_model_in_the_hubs_cache_is_found_without_the_network(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--owner--name" / "snapshots" / "0123abcd"
    snapshot.parent.mkdir(parents=True)
    write(snapshot, "llama")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0123abcd")
    code = f"{BLOCKED}\nfrom trimtab.config.offline import local_folder\nprint(local_folder('hub:owner/name'))\nassert not attempts"
    done = run(code, HF_HOME=str(tmp_path))
    assert done.stdout.strip() == str(snapshot), done.stderr


def test_a_model_that_cannot_be_fetched_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from trimtab.config.offline import local_folder; local_folder('hub:owner/name')"
    nowhere = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = run(code, **nowhere)
    assert "WorkError: The model owner/name could not be fetched" in done.stderr
    done = run(code, **nowhere, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE prevents fetching it" in done.stderr
    assert local_folder(str(tmp_path)) == tmp_path
