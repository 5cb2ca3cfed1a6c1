"""Pretrained models: load from a folder or a GGUF file, train in part or in full, export. Needs the extra `pretrained`."""
