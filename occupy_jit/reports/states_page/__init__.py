"""The page of states: many volumes, their parts, and the states they fall into, as one HTML file."""
