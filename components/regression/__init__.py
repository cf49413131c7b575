"""What the classical baselines read of a listing."""
