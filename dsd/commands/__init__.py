"""The commands of `dsd`. torch is imported where one computes: help need not wait for it."""
