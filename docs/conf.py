"""How Sphinx makes the documentation: `make docs`. Nothing is fetched, neither while it is built nor by its pages."""

import os
import sys
from pathlib import Path

from nbclient import NotebookClient

import w2v_exp

project = "w2v_exp"
author = "The w2v_exp founders"
version = release = w2v_exp.__version__

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["build", "**/outputs"]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}

html_theme = "furo"
html_title = "w2v_exp"
html_static_path: list[str] = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"footer_icons": []}

myst_heading_anchors = 4
smartquotes = False  # quotes in commands are copied
myst_enable_extensions = ["colon_fence", "deflist"]

# Tutorials are executed at each build, in a folder of their own, without a network.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 180
nb_execution_show_tb = True
# One output per stream: otherwise lines break wherever the kernel has sent a part of them.
NotebookClient.coalesce_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # else pages load widgets from the network
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["COLUMNS"] = "100"
os.environ["PYTHONPATH"] = str(Path(w2v_exp.__file__).parents[1])
os.environ["W2V_EXP_CACHE"] = str(Path(__file__).parents[1] / "build" / "docs-cache")
for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
    os.environ.pop(variable, None)

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stand in the docstrings
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
