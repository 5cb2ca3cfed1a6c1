"""The stages of a memory run: what they need, how each is run in its folder, and what they record."""
