"""What lies on disk: the tree of phases, checkpoints, records. Knows no training."""
