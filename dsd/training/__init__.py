"""Algorithm 1 (Han et al., ICLR 2017): phases, epochs, batches."""
