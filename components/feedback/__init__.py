"""Where preferences come from, a file each. `ORIGINS` in components/preferences.py names them."""
