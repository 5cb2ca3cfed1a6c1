"""Pretrained models: read from a folder or a GGUF file, adapted in part or in full, written back. Needs the extra."""
