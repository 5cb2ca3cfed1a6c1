"""Text from a run's checkpoints."""

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from tests.training.small_runs import config
from trimtab.config import ConfigError
from trimtab.data import CharacterTokenizer
from trimtab.records import RunDirectory
from trimtab.training import train
from trimtab.training.runs.sampling import sample_run

OPTIONS = {"tokens": 12, "temperature": 1.0, "top_k": None, "top_p": None}


def test_the_newest_checkpoint_writes_and_the_seed_decides(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    first = sample_run(tmp_path / "run", prompt="The ", options=OPTIONS, seed=0)
    assert (first["step"], first["refused_checkpoints"]) == (24, [])
    assert sample_run(tmp_path / "run", prompt="The ", options=OPTIONS, seed=0) == first
    assert sample_run(tmp_path / "run", prompt="The ", options=OPTIONS, seed=1)["text"] != first["text"]


def test_an_older_checkpoint_is_not_taken_silently(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    damaged = tmp_path / "run" / "checkpoints" / "step-00000024" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = sample_run(tmp_path / "run", prompt="The ", options=OPTIONS, seed=0)
    assert result["step"] == 18
    assert "step-00000024" in result["refused_checkpoints"][0]


def test_an_empty_or_invalid_prompt_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(config(), tmp_path / "run")
    for prompt, words in (("", "is empty"), ("caf\udce9", "is not valid UTF-8")):
        with pytest.raises(ConfigError, match=f"^--prompt: the prompt {words}"):
            sample_run(tmp_path / "run", prompt=prompt, options=OPTIONS, seed=0)
    monkeypatch.setattr(CharacterTokenizer, "encode", lambda self, text: np.zeros(0, np.uint8))
    with pytest.raises(ConfigError, match="' ' has no token"):
        sample_run(tmp_path / "run", prompt=" ", options=OPTIONS, seed=0)


def test_the_unknown_characters_of_a_prompt_are_counted(tmp_path: Path) -> None:
    train(config(), tmp_path / "run")
    assert sample_run(tmp_path / "run", prompt="The ", options=OPTIONS, seed=0)["unknown_characters"] == {}
    result = sample_run(tmp_path / "run", prompt="né, né ☃", options=OPTIONS, seed=0)
    assert result["unknown_characters"] == {"é": 2, "☃": 1}


def test_a_sample_keeps_the_space_after_its_prompt(tmp_path: Path) -> None:
    words = {f"▁{word}": number for number, word in enumerate(("the", "cat", "sat", "on", "a", "mat"))}
    made = tokenizers.Tokenizer(models.WordLevel({**words, "▁else": 6}, unk_token="▁else"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.save(str(tmp_path / "words.json"))
    (tmp_path / "text.txt").write_text("the cat sat on a mat " * 200)
    tokenizer = f"data.tokenizer={{name: file, path: {tmp_path / 'words.json'}}}"
    train(
        config(tokenizer, f"data.path={tmp_path / 'text.txt'}", "episode.sample={tokens: 3, prompt: the cat}"),
        tmp_path / "run",
    )
    sample = sample_run(tmp_path / "run", prompt="the cat", options=OPTIONS, seed=0)
    assert sample["text"].startswith(" ")
    assert RunDirectory(tmp_path / "run").evaluations()[-1]["sample"]["text"].startswith(" ")


def test_the_figures_of_an_evaluation_are_of_all_its_samples(tmp_path: Path) -> None:
    train(config("episode.sample.tokens=40", "episode.sample.count=3"), tmp_path / "run")
    sample = RunDirectory(tmp_path / "run").evaluations()[-1]["sample"]
    assert sample["count"] == 3
    assert 30 < len(sample["text"]) <= 40  # the padding token, which an untrained model writes too, is no character
    assert sample["figures"]["character_entropy"] > 0
