"""Small metacognitive models for the tests."""

from typing import Any

import torch

from trimtab.metacognition.model import BaseModel, Metacognitive
from trimtab.metacognition.tokenizer import TaggedTokenizer

TOKENIZER = TaggedTokenizer()
OPEN, CLOSE = TOKENIZER.tags.open, TOKENIZER.tags.close
CAPS = (0, 2, 4, 8, 16)
DECODER = {"layers": 3, "width": 32, "heads": 2, "ff": 64, "dropout": 0.0}


def model(base: dict[str, Any] | None = None, *, context: int = 64, seed: int = 0, **options: Any) -> Metacognitive:
    """A model with random weights, the gate's included: a new gate would hide mistakes."""
    torch.manual_seed(seed)
    spec = {"name": "decoder", **DECODER, **(base or {})}
    options = {"caps": CAPS, "proj_dim": 16, **options}
    made = Metacognitive(
        vocabulary=TOKENIZER.vocabulary, context=context, tokenizer=TOKENIZER, base=BaseModel(**spec), **options
    )
    if made.layer.gate_head is not None:
        torch.nn.init.normal_(made.layer.gate_head.weight)
    return made.eval()


def prompts(count: int, *, seed: int = 0, longest: int = 24, open_thought: bool = True) -> list[torch.Tensor]:
    """Random prompts of several lengths that end with an opened thought."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, longest, (count,), generator=generator).tolist()
    texts = [torch.randint(2, OPEN, (length,), generator=generator) for length in lengths]
    return [torch.cat((text, torch.tensor([OPEN]))) if open_thought else text for text in texts]


def padded(rows: list[torch.Tensor], side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows as one batch, padded on one side, with the mask."""
    width = max(map(len, rows))
    ids, mask = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width, dtype=torch.bool)
    for row, one in enumerate(rows):
        place = slice(width - len(one), width) if side == "left" else slice(0, len(one))
        ids[row, place], mask[row, place] = one, True
    return ids, mask
