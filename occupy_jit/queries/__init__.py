"""Conditions on volumes: what ``--select`` says."""
