"""The training loop: the trainer, its state, its passes, hooks and instruments."""
