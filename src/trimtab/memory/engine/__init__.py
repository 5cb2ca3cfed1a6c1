"""The vectorised engine: optimises the vectors of many candidates in one forward pass of a frozen model."""
