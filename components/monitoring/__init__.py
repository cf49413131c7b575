"""What is served, watched: what came true, and whether the answers still hold."""
