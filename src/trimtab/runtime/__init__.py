"""What every kind of run needs of the machine: hardware, signals, checkpoints, state as tensors, loggers."""
