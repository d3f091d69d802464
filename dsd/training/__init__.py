"""Training: Algorithm 1 (Han et al., ICLR 2017) in phases, epochs, batches; evaluation."""
