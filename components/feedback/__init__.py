"""Where preferences come from, a file each. components/preferences.py picks among them."""
