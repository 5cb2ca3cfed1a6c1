"""Named random streams; nothing in Trimtab draws from a global generator."""

from typing import TYPE_CHECKING

from trimtab.lazy import lazy_names
from trimtab.random.seeds import derive_seed

if TYPE_CHECKING:
    from trimtab.random.streams import PURPOSES, Streams, global_stream

# Late, because streams need torch and seeds do not.
__getattr__ = lazy_names(
    __name__,
    {
        "PURPOSES": "trimtab.random.streams",
        "Streams": "trimtab.random.streams",
        "global_stream": "trimtab.random.streams",
    },
)

__all__ = ["PURPOSES", "Streams", "derive_seed", "global_stream"]
