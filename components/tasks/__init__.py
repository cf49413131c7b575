"""What is predicted: a file for each kind of task."""
