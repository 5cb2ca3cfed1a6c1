"""Speed, memory and quality, measured against a straightforward PyTorch loop."""
