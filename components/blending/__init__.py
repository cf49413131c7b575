"""Several price distributions made one."""
