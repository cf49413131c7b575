"""What is served, and the code that answers."""
