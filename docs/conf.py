"""The documentation site: `python -m sphinx -W docs site`. Pages are Markdown that reads well on its own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for site_parts

import mdnbench

project, author = "mdnbench", "The mdnbench developers"
copyright = f"2026, {author}"
version = release = mdnbench.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "site_parts"]
exclude_patterns = ["_static"]
root_doc = "index"
nitpicky = False
language = "en"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_fence_as_directive = ["math"]
nb_execution_mode = "off"  # quick; `-D nb_execution_mode=force` runs the notebook and shows what it gives
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True

default_role = "code"  # single backticks in docstrings
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_type_aliases: dict[str, str] = {}
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # fields in one list below the class, rather than an entry each
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_title = f"mdnbench {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
