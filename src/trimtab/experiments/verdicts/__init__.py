"""From the records of the episodes to verdicts: metrics, capped values, missing pairs."""
