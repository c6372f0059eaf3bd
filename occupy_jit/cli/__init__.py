"""The command line: options, their parser, what is printed, and how errors become exit status. Nothing below it
spells an option.
"""
