"""Training data: one format for triplets, quadruplets, samples and preference pairs."""
