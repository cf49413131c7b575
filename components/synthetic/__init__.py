"""A generated catalogue whose price law is known, and the pages of its shop."""
