"""Spectune: which layers to re-train for a new system, and what physics the re-training learns."""
