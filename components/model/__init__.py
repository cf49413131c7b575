"""What the language model reads and answers, and how it is loaded, adapted, trained and sampled."""
