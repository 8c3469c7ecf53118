"""Sphinx: `sphinx-build -W docs docs/_build/html`; all that the site needs is in it, offline."""

import os
import subprocess
import sys
from importlib import metadata
from inspect import isfunction, ismodule
from operator import attrgetter
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import pages  # noqa: E402
import tables  # noqa: E402

import metaplastic_np  # noqa: E402

# Whose names `mp.FOLDER.name` reaches.
FOLDERS = [getattr(metaplastic_np, name) for name in metaplastic_np.__all__]
FOLDERS = [part for part in FOLDERS if ismodule(part)]

project = "metaplastic_np"
author = "the metaplastic_np developers"
release = metadata.version("metaplastic_np")
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_codeautolink",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "explorer", "generated", "handout", "jupyterlite_contents"]
templates_path = ["_templates"]
nitpicky = True
smartquotes_action = "qe"  # quotes and ellipses; "--" begins an option

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
autodoc_typehints = "none"  # numpydoc's sections say types in words
numpydoc_show_class_members = False
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = "metaplastic_np"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_domain_indices = False
html_context = {"default_mode": "auto"}
# Pages that have none below them: no empty column on the left.
FLAT = ("answers", "claims", "data", "explorer", "features", "glossary", "house", "model")
FLAT += ("notebooks", "performance", "references", "settings", "start", "teachers", "trust")
html_sidebars: dict[str, list[str]] = {page: [] for page in FLAT}
html_theme_options = {
    "show_nav_level": 2,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# A name in the code of a lesson links to its page of the API; a page's blocks are one program.
codeautolink_concat_default = True
codeautolink_autodoc_inject = False

if tags.has("lite"):  # noqa: F821 - Sphinx defines it
    # The lessons in a browser, by JupyterLite: `pip wheel --no-deps -w docs/_build/wheels .`, then
    # `sphinx-build -t lite docs docs/_build/html`. The one part that needs a network when viewed.
    extensions.append("jupyterlite_sphinx")
    wheel = next((HERE / "_build" / "wheels").glob("metaplastic_np-*.whl"))
    jupyterlite_build_command_options = {"piplite-wheels": str(wheel)}
    jupyterlite_contents = [str(HERE / "jupyterlite_contents")]


def visit_math(self, node):
    """MathML, which browsers draw and read aloud by themselves: no script, no font, no network."""
    if node.tagname == "math":
        self.body.append(tex2mathml(node.astext()))
    for line in node.astext().split("\n\n") if node.tagname == "math_block" else ():
        self.body.append(f'<div class="math">{tex2mathml(line, as_block=True)}</div>')
    raise nodes.SkipNode


def resolve_public_name(app, env, node, contnode):
    """`Step`, `rules.measure_drift`, `mp.rules.measure_drift`: in the files that define them."""
    name = node.get("reftarget", "").removeprefix("metaplastic_np.").removeprefix("mp.")
    if node.get("refdomain") != "py":
        return None
    for place in (metaplastic_np, *FOLDERS):
        try:
            found = attrgetter(name)(place)
            target = f"{found.__module__}.{found.__qualname__}"
        except AttributeError:  # not there, or not a class or function
            continue
        domain = env.get_domain("py")
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)
    return None


def skip_fields(app, what, name, thing, skip, options):
    """A class's docstring says what its fields are; "alias for field number 0" does not."""
    is_default = isfunction(thing) and what == "class" and thing.__name__ != name
    return True if is_default or type(thing).__name__ == "_tuplegetter" else None


def write_generated(app):
    """Pages that are made, not typed: exercises, and tables from the results of runs."""
    pages.write(HERE, run=app.config.run_lessons, in_browser=tags.has("lite"))  # noqa: F821
    app.env.find_files(app.config, app.builder)  # or codeautolink, asked next, does not know them
    tables.write(HERE / "generated")
    printed = subprocess.check_output([sys.executable, HERE / "examples" / "mine.py"])
    (HERE / "generated" / "mine.txt").write_bytes(printed)
    picture = HERE / "generated" / "plasticity.png"
    drawn = {**os.environ, "MPLBACKEND": "agg"}
    subprocess.check_call([sys.executable, HERE / "examples" / "plasticity.py", picture], env=drawn)


def setup(app):
    """Hook the above into Sphinx; `-D run_lessons=0` runs none, which is quick."""
    app.add_config_value("run_lessons", True, "env", bool)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("builder-inited", write_generated, priority=1)
    app.connect("missing-reference", resolve_public_name)
    app.connect("autodoc-skip-member", skip_fields)
