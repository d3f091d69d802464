"""Runs on disk: the tree of phases, checkpoints, records, provenance. It trains nothing."""
