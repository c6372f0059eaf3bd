"""A notebook from the Python blocks of a page, so that both say the same."""

import json
import os
import re


def cells(markdown):
    """Cells of a notebook, from the text and the Python blocks of a page."""
    made = []
    for number, piece in enumerate(re.split(r"^```python\n(.*?)^```$\n?", markdown, flags=re.M | re.S)):
        text = piece.strip("\n")
        if number % 2 == 0:
            text = re.sub(r"^```\{.*?^```$", "", text, flags=re.M | re.S).strip("\n")
        if not text:
            continue
        cell = {"cell_type": "code" if number % 2 else "markdown", "id": f"cell-{number}", "metadata": {},
                "source": text.splitlines(keepends=True)}
        if number % 2:
            cell.update(execution_count=None, outputs=[])
        made.append(cell)
    return made


def write(page, path):
    """Write the notebook of a page, if it is not there as it is."""
    with open(page, encoding="utf-8") as file:
        found = cells(file.read())
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    text = json.dumps({"cells": found, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5},
                      indent=1, ensure_ascii=False) + "\n"
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
