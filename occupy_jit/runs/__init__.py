"""Runs of the program: from validated options to written files. Knows files, estimation and reports; prints nothing."""
