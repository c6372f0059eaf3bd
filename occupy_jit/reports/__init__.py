"""What people look at: the HTML page, the ChimeraX script, plots, the log and the JSON record."""
