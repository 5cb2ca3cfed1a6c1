"""Content memory: vectors that make a frozen model produce both a question and its answer."""
