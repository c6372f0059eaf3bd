"""The page of states: many volumes, their parts and their states, as one HTML file."""
