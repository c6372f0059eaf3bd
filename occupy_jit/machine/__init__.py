"""The machine: threads, memory, limits of control groups."""
