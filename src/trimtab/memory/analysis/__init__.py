"""What memories are like: what they withstand, what they give away, where they lie, and the loss around them."""
