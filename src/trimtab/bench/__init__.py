"""Benchmarks: speed, memory and quality compared with a straightforward PyTorch loop."""
