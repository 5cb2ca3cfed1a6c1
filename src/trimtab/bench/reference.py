"""The straightforward training loop, in the usual style (nanoGPT, minGPT, tutorials)."""

from collections.abc import Callable

import torch
from torch.nn import functional

from trimtab.bench.gpt import ReferenceModel
from trimtab.data import Batch
from trimtab.models import Decoder
from trimtab.random.streams import global_stream


class ReferenceTraining:
    """The straightforward training loop: AdamW (betas .9/.95, weight decay .1 on everything), clipping at 1.

    `batches` gives a step's windows, one token longer than the context. `autocast` computes under bf16 autocast. Such code draws
    initial weights and dropout from torch's global generator; here its state is replaced by that of a generator with `seed`.
    `sizes` are those of `ReferenceModel` (`layers`, `width`, `heads`, `ff`).
    """

    def __init__(
        self,
        batches: Callable[[int], Batch],
        *,
        autocast: bool,
        seed: int = 0,
        vocabulary: int = 99,
        context: int = 256,
        lr: float = 3e-4,
        dropout: float = 0.1,
        **sizes: int,
    ) -> None:
        self.batches, self.autocast = batches, autocast
        self.generator = torch.Generator().manual_seed(seed)
        with global_stream(self.generator):
            self.model = ReferenceModel(vocabulary=vocabulary, context=context, dropout=dropout, **sizes)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.1)
        self.steps = 0

    def load(self, decoder: Decoder) -> None:
        """Copy a decoder's weights (see `ReferenceModel.load_decoder`)."""
        self.model.load_decoder(decoder)

    def step(self) -> float:
        """One optimiser step on the next batch; returns its loss in nats per token."""
        batch = self.batches(self.steps)
        inputs, _, targets, _ = batch.shifted()
        self.model.train()
        with (
            global_stream(self.generator),
            torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=self.autocast),
        ):
            logits = self.model(inputs)
            loss = functional.cross_entropy(logits.reshape(-1, logits.size(-1)), targets.reshape(-1))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        return loss.item()
