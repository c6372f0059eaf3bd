"""STAR files of RELION and the class maps they name."""
