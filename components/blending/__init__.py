"""Several distributions over numbers made one."""
