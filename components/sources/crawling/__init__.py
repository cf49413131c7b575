"""Fetching pages politely."""
