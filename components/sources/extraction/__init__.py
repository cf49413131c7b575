"""From a page to a listing."""
