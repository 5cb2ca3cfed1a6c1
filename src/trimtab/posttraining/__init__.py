"""Post-training: chats and preference pairs as data, and the objectives that are trained on them."""
