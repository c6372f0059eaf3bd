"""Outputs for people: the HTML page, the ChimeraX script, plots, the log and the JSON record."""
