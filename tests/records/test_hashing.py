import hashlib
import importlib.util
import json
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.errors import RunError
from trimtab.records.hashing import file_sha256, folder_source_hash, package_source_hash, source_hash, tensors_sha256


def test_tensors_sha256_is_what_its_docstring_says():
    tensor = torch.tensor([[1.0, 2.0, 3.0]])
    expected = hashlib.sha256(
        json.dumps(["w", "float32", [1, 3]]).encode() + b"\n" + tensor.numpy().tobytes()
    ).hexdigest()
    assert tensors_sha256({"w": tensor}) == expected


def test_order_and_layout_do_not_matter():
    a, b = torch.arange(6.0).reshape(2, 3), torch.ones(2, dtype=torch.bfloat16)
    assert tensors_sha256({"a": a, "b": b}) == tensors_sha256({"b": b, "a": a})
    assert tensors_sha256({"a": a.t().contiguous().t()}) == tensors_sha256({"a": a})
    assert tensors_sha256({"a": torch.nn.Parameter(a)}) == tensors_sha256({"a": a})
    lazy = torch.tensor([1 + 2j]).conj()  # a view whose bytes are not its values
    assert tensors_sha256({"a": lazy}) == tensors_sha256({"a": lazy.resolve_conj()})
    assert tensors_sha256({"a": lazy.imag}) == tensors_sha256({"a": torch.tensor([-2.0])})


def test_name_dtype_shape_and_every_bit_matter():
    tensor = torch.zeros(4)
    different = [
        {"w": tensor},
        {"v": tensor},
        {"w": tensor.double()},
        {"w": tensor.to(torch.int32)},
        {"w": tensor.reshape(2, 2)},
        {"w": -tensor},  # the sign of zero
        {"w": tensor, "x": torch.zeros(0)},
        {},
    ]
    assert len({tensors_sha256(named) for named in different}) == len(different)


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.bool, torch.int64, torch.complex64, torch.uint8]
)
def test_dtypes_scalars_and_empty_tensors(dtype):
    values = {tensors_sha256({"w": torch.full(shape, 1, dtype=dtype)}) for shape in ((), (1,), (0,), (2, 3))}
    assert len(values) == 4


@settings(deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=8), st.integers(0, 7), st.integers(0, 31))
def test_one_flipped_bit_changes_the_hash(values, index, bit):
    tensor = torch.tensor(values, dtype=torch.float32)
    flipped = tensor.clone()
    flipped.view(torch.int32)[index % len(values)] ^= -(2**31) if bit == 31 else 1 << bit
    assert tensors_sha256({"w": tensor}) != tensors_sha256({"w": flipped})


def test_file_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "none")


def test_folder_source_hash_sees_names_contents_and_nothing_else(tmp_path):
    def write(files):
        for path in tmp_path.rglob("*"):
            if path.is_file():
                path.unlink()
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return folder_source_hash(tmp_path)

    base = write({"a.py": "1", "b/c.py": "2"})
    assert write({"a.py": "1", "b/c.py": "2", "notes.txt": "x", "b/d.pyc": "x"}) == base
    others = [write({"a.py": "1", "b/c.py": "3"}), write({"a.py": "1", "b/d.py": "2"}), write({"a.py": "1"})]
    assert len({base, *others}) == 4
    assert package_source_hash() == package_source_hash() and len(package_source_hash()) == 64


def test_source_hash_follows_the_file(tmp_path):
    def load(text):
        path = tmp_path / "hooks.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("hooks_under_test", path)
        module = importlib.util.module_from_spec(spec)
        exec(compile(text, str(path), "exec"), module.__dict__)
        sys.modules["hooks_under_test"] = module
        return module

    module = load("def help_it():\n    return 1\n\nclass Hook:\n    pass\n\nclass Other:\n    pass\n")
    first, other, instance = source_hash(module.Hook), source_hash(module.Other), source_hash(module.Hook())
    assert first == instance != other
    module = load("def help_it():\n    return 2\n\nclass Hook:\n    pass\n\nclass Other:\n    pass\n")
    assert source_hash(module.Hook) != first  # its helper changed


def test_a_component_without_source_is_named_instead_of_hashed():
    assert source_hash(len) == "no-source:builtins:len"
    namespace: dict = {"__name__": "typed"}
    exec("class Typed: pass", namespace)
    assert source_hash(namespace["Typed"]) == "no-source:typed:Typed"
    assert not source_hash(RunError).startswith("no-source")
