import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trimtab.data import IGNORE, WindowDataset, collate


@given(tokens=st.integers(2, 60), context=st.integers(1, 12))
def test_every_token_except_the_first_is_a_target_exactly_once(tokens: int, context: int) -> None:
    dataset = WindowDataset(np.arange(tokens, dtype=np.uint8), context)
    targets = [label for index in range(len(dataset)) for label in dataset[index]["labels"][1:].tolist()]
    assert targets == list(range(1, tokens))


@given(tokens=st.integers(2, 60), context=st.integers(1, 12), stride=st.integers(1, 12))
def test_with_any_stride_no_target_is_lost(tokens: int, context: int, stride: int) -> None:
    stride = min(stride, context)
    dataset = WindowDataset(np.arange(tokens, dtype=np.uint8), context, stride)
    items = [dataset[index] for index in range(len(dataset))]
    assert {label for item in items for label in item["labels"][1:].tolist()} == set(range(1, tokens))
    for index, item in enumerate(items):
        assert item["metadata"] == {"index": index}
        ids = item["input_ids"]
        assert ids.dtype == torch.int64
        assert torch.equal(ids, item["labels"])
        assert ids.tolist() == list(range(index * stride, min(index * stride + context + 1, tokens)))
        assert len(ids) == context + 1 or index == len(items) - 1


@given(tokens=st.integers(2, 60), context=st.integers(1, 12), stride=st.integers(1, 12), data=st.data())
def test_the_fast_batch_equals_collating_the_items(tokens: int, context: int, stride: int, data) -> None:
    dataset = WindowDataset(np.arange(tokens, dtype=np.uint16) + 1, context, min(stride, context))
    indices = data.draw(st.lists(st.integers(0, len(dataset) - 1), min_size=1, max_size=5))
    fast, slow = dataset.batch(indices, 0), collate([dataset[index] for index in indices])
    assert torch.equal(fast.input_ids, slow.input_ids)
    assert torch.equal(fast.labels, slow.labels)
    assert fast.metadata == slow.metadata == {"index": indices}
    if slow.attention_mask is None:
        assert fast.attention_mask is None
    else:
        assert torch.equal(fast.attention_mask, slow.attention_mask)


def test_the_short_last_window_is_padded_without_labels() -> None:
    batch = WindowDataset(np.arange(1, 8, dtype=np.uint8), 4).batch([0, 1], 0)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5], [5, 6, 7, 0, 0]]
    assert batch.labels.tolist() == [[1, 2, 3, 4, 5], [5, 6, 7, IGNORE, IGNORE]]
    assert batch.attention_mask.tolist() == [[True] * 5, [True] * 3 + [False] * 2]


def test_changing_a_batch_changes_neither_its_labels_nor_the_corpus() -> None:
    tokens = np.arange(1, 8, dtype=np.uint8)
    batch = WindowDataset(tokens, 4).batch([0], 0)
    batch.input_ids[:] = 99
    assert batch.labels.tolist() == [[1, 2, 3, 4, 5]]
    assert tokens.tolist() == list(range(1, 8))


def test_windows_that_would_lose_tokens_or_do_not_exist_are_refused() -> None:
    tokens = np.arange(20, dtype=np.uint8)
    for stride in (0, 5, -1):
        with pytest.raises(ValueError, match="stride"):
            WindowDataset(tokens, 4, stride)
    with pytest.raises(ValueError, match="two tokens"):
        WindowDataset(tokens[:1], 4)
    dataset = WindowDataset(tokens, 4)
    for index in (-1, len(dataset)):
        with pytest.raises(IndexError):
            dataset[index]
