"""Where a label is predicted: the classical baselines, and the ones that are blended."""
