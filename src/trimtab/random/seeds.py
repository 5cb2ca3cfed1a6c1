"""Seeds that are derived from a seed and a path of names and numbers."""

import hashlib


def derive_seed(seed: int, *path: str | int) -> int:
    """A 63-bit seed from `seed` and a path: the first bytes of the SHA-256 of both, so that different paths are unrelated.

    Raises `ValueError` for a part with a slash, which would be the same as two parts.
    """
    if any(isinstance(part, str) and "/" in part for part in path):
        raise ValueError(f"a part of a stream's path must not contain '/': {path}")
    text = "/".join(["trimtab", str(seed), *map(str, path)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
