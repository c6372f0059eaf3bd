"""What is computed, on arrays alone: no files, no options, no words for the terminal."""
