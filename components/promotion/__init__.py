"""Which version is the champion, why, and the way back."""
