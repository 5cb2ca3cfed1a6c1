"""Content memory: vectors that make a frozen model say both a question and its answer."""
