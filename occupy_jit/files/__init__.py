"""Input and output files: one folder per format, and outputs that appear complete or not at all."""
