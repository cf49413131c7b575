"""The classical baselines: what they read of a listing, and the one that is blended."""
