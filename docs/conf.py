"""Sphinx: python -m sphinx -W -n docs docs/_build. Needs the extra docs, and no network."""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import manual_page  # noqa: E402
import notebook  # noqa: E402

import occupy_jit  # noqa: E402

project = "occupy_jit"
author = "the occupy_jit developers"
copyright = "2026, the occupy_jit developers"
version = release = occupy_jit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"occupy_jit {version}"
html_static_path = ["style"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_use_param = False
nitpick_ignore_regex = [("py:.*", r".*")]  # types in docstrings are words: "(nz, ny, nx) float32 array"
suppress_warnings = ["myst.header"]


def _math(text):
    from latex2mathml.converter import convert

    return convert(text)


def _inline(self, node):
    self.body.append(_math(node.astext()))
    from docutils.nodes import SkipNode

    raise SkipNode


def _block(self, node):
    from docutils.nodes import SkipNode

    converted = _math(node.astext()).replace('display="inline"', 'display="block"')
    self.body.append(f'<div class="math" style="overflow-x:auto">{converted}</div>')
    raise SkipNode


def setup(app):
    generated = os.path.join(HERE, "_generated")
    manual_page.write_pages(generated)
    notebook.write(os.path.join(HERE, "tutorials", "from_python.md"), os.path.join(generated, "from_python.ipynb"))
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))  # browsers show it without a script
    app.connect("autodoc-process-docstring", _without_sections_of_the_method)


def _without_sections_of_the_method(app, what, name, obj, options, lines):
    """Links that are written for readers of the source are words on the site."""
    lines[:] = [re.sub(r"`(occupy_jit[\w.]+)`", r"``\1``", line) for line in lines]


html_math_renderer = "mathml"
