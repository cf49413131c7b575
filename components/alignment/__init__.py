"""Alignment methods, one file each. `METHODS` in components/align.py names them."""
