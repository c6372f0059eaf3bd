"""The computations, on arrays alone: no files, no options, no output for the terminal."""
