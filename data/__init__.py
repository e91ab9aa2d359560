"""What training reads: trajectories, tool schemas, calls, feedback; and the embedded files."""
