"""Training of learned denoisers: recipes, patches, noise mixtures, the one loop, checkpoints, logs."""
