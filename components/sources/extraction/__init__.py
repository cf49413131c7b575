"""Extraction of a listing from the HTML of a product page."""
