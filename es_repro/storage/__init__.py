"""What lies on the disk: files that are whole or absent, and the run's own."""
