"""Objectives on preference pairs and on unpaired feedback."""
