"""A finished network for others: weights, model card, inference cost."""
