"""Content memory: one set of vectors that makes a frozen language model say a question and its answer."""
