"""Chats and preference pairs: from files to tokens with labels."""
