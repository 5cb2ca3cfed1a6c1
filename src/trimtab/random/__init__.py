"""Named random streams; nothing in Trimtab draws from a global generator."""

from trimtab.random.streams import PURPOSES, Streams, derive_seed, global_stream

__all__ = ["PURPOSES", "Streams", "derive_seed", "global_stream"]
