"""A finished network for others: weights, model card, cost at inference."""
