"""All classes of one classification on a common scale: references for the next one, and differences between
classes.
"""
