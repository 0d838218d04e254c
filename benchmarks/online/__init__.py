"""Closures in the large-eddy simulation: the paper's three cases at desk size."""
