"""Alignment methods, one file each. `align.methods` of params.yaml picks among them."""
