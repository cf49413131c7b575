"""From raw listings to clean, deduplicated, split rows."""
