"""The vectorised engine: many candidates' vectors optimised in one forward pass of a frozen model."""
