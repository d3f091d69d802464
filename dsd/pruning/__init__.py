"""The library: which weights are pruned, by what, when; what holds them at zero. Torch alone."""
