"""Checks of files of chats and preference pairs, and copies of them under their hashes."""
