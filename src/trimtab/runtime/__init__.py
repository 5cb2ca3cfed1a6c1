"""What every kind of run needs: hardware, signals, checkpoints, state as tensors, loggers, events, worker processes."""
