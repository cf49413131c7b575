"""What several tests build on: the project, small worlds, servers on loopback."""
