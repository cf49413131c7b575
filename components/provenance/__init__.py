"""Where a version and each of its rows came from."""
