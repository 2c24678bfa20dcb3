"""The direction of imports: the core stands on NumPy, and what comes earlier does not know what follows."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import w2v_exp

PACKAGE = Path(w2v_exp.__file__).parent
# What each package of the core may import of the project, beside itself and the foundations.
CORE = {
    "text": set(),
    "examples": {"text"},
    "model": {"text", "examples"},
    "training": {"text", "examples", "model"},
    "embeddings": {"text", "examples", "model"},
    "counting": {"text", "examples"},
    "slices": {"text", "examples", "model", "embeddings"},
    "word2vec": {"text", "examples", "model", "training", "embeddings"},
}
UPPER_MODULES = {"choices", "composer", "config", "loader", "metrics", "plan", "results"}
# Modules beside the packages that anyone may import; they import only one another.
FOUNDATIONS = {file.stem for file in PACKAGE.glob("*.py") if file.stem[0] != "_"} - UPPER_MODULES
# The face of the package, `w2v_exp/__init__.py`, shows the core; beside it, inside functions, these.
FACE = {
    "w2v_exp.experiment.train.train",
    "w2v_exp.tracking.load",
    "w2v_exp.tracking.run_table.runs",
    "w2v_exp.version.__version__",
}
HEAVY = {
    "fsspec",
    "huggingface_hub",
    "requests",
    "urllib3",
    "hydra",
    "omegaconf",
    "mlflow",
    "matplotlib",
    "pandas",
    "rich",
    "scipy",
    "sklearn",
    "gensim",
    "optuna",
    "distributed",
    "submitit",
}
WHERE_NEEDED = {
    ("w2v_exp", "pandas"),  # for the type checker
    ("w2v_exp.scatter", "scipy"),
    ("w2v_exp.model.spectral", "scipy"),
    ("w2v_exp.model.hierarchical_softmax", "scipy"),
    ("w2v_exp.model.huffman", "scipy"),
    ("w2v_exp.model.hierarchical_softmax", "scipy"),
    ("w2v_exp.model.tree_counts", "scipy"),
    ("w2v_exp.model.tree_counts", "scipy"),
    ("w2v_exp.model.sampled_softmax", "scipy"),
    ("w2v_exp.model.sampled_softmax", "scipy"),
    ("w2v_exp.examples.cbow", "scipy"),
    ("w2v_exp.examples.batch", "scipy"),
    ("w2v_exp.examples.held_out", "scipy"),
    ("w2v_exp.embeddings.keyed_vectors", "scipy"),
    ("w2v_exp.counting.dask_engine", "distributed"),
    ("w2v_exp.slurm", "submitit"),
    ("w2v_exp.slices.moments", "scipy"),
    ("w2v_exp.slices.change", "scipy"),
    ("w2v_exp.embeddings.stability", "scipy"),
    ("w2v_exp.text.remote", "fsspec"),
    ("w2v_exp.text.remote", "huggingface_hub"),
    ("w2v_exp.text.web", "requests"),
    ("w2v_exp.text.web", "urllib3"),
    ("w2v_exp.text.text8", "requests"),
}  # inside functions: nothing heavy is loaded by importing the core
CORE_MODULES = sorted(
    [PACKAGE / "__init__.py", *(PACKAGE / f"{name}.py" for name in FOUNDATIONS)]
    + [file for package in CORE for file in (PACKAGE / package).rglob("*.py") if file.stem != "__main__"]
)  # a `__main__` is a command: it may start anything


def imported_names(source, inside):
    """Return the full names of all imports of a module: at its top, inside functions, for types, by a string."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = inside.split(".")[: -node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names += [f"{origin}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = (
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            )
            if function in ("import_module", "__import__"):
                names.append(node.args[0].value)
    return names


def breaches(source, module):
    """Return the imports of a module of the core that go the wrong way."""
    package = module.split(".")[1] if "." in module else ""
    wrong = []
    for name in imported_names(source, module):
        parts = name.split(".")
        if (module, parts[0]) in WHERE_NEEDED:
            continue
        if parts[0] in HEAVY:
            wrong.append(name)
        elif parts[0] == "w2v_exp":
            if package in CORE:
                allowed = FOUNDATIONS | CORE[package] | {package}
            elif package in FOUNDATIONS:
                allowed = FOUNDATIONS
            else:  # the package itself, which may show parts of the core
                allowed = FOUNDATIONS | set(CORE)
            if parts[1] not in allowed and not (module == "w2v_exp" and name in FACE):
                wrong.append(name)
    return wrong


def module_name(file):
    parts = ["w2v_exp", *file.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("file", CORE_MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_module_of_the_core_imports_what_is_above_it(file):
    assert breaches(file.read_text(encoding="utf-8"), module_name(file)) == []


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("w2v_exp.text.corpus", "import numpy as np", []),
        ("w2v_exp.text.corpus", "from w2v_exp.errors import UserError", []),
        ("w2v_exp.text.corpus", "def f():\n    import mlflow.tracking", ["mlflow.tracking"]),
        ("w2v_exp.text.corpus", "from rich import print", ["rich.print"]),
        ("w2v_exp.model.spectral", "from scipy.sparse import csr_array", []),
        ("w2v_exp.model.softmax", "from scipy.sparse import csr_array", ["scipy.sparse.csr_array"]),
        ("w2v_exp.text.corpus", "from ..examples import pairs", ["w2v_exp.examples.pairs"]),
        ("w2v_exp.text.corpus", "from w2v_exp import model", ["w2v_exp.model"]),
        ("w2v_exp.model.softmax", "from w2v_exp.training.trainer import T", ["w2v_exp.training.trainer.T"]),
        ("w2v_exp.embeddings.formats", "import w2v_exp.training", ["w2v_exp.training"]),
        ("w2v_exp.training.trainer", "from w2v_exp.tracking import store", ["w2v_exp.tracking.store"]),
        ("w2v_exp.training.trainer", "from w2v_exp.model.softmax import Softmax", []),
        ("w2v_exp.files", "from w2v_exp.text import corpus", ["w2v_exp.text.corpus"]),
        ("w2v_exp", "from w2v_exp.config import C", ["w2v_exp.config.C"]),
        ("w2v_exp", "def f():\n    from w2v_exp.tracking import load", []),
        ("w2v_exp", "import w2v_exp.tracking.store", ["w2v_exp.tracking.store"]),
        ("w2v_exp.text.corpus", 'import_module("w2v_exp.tracking.store")', ["w2v_exp.tracking.store"]),
    ],
)
def test_an_import_in_the_wrong_direction_is_seen(module, source, wrong):
    assert breaches(source, module) == wrong


def import_graph(sources):
    """Return what each module imports of the others.

    To import a module runs the ``__init__`` of the packages above it. That is no arrow of the graph, or the face
    would be in a cycle with the whole core; to import a package itself, or a name that it defines, is one.

    Parameters
    ----------
    sources : dict of str to str
        The source of each module, by its full name.
    """
    graph = {}
    for module, source in sources.items():
        graph[module] = set()
        for name in imported_names(source, module):
            parts = name.split(".")
            above = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
            graph[module] |= {next((each for each in above if each in sources), module)} - {module}
    return graph


def cycle_in(graph):
    """Return the modules of a cycle, the first one again at its end; an empty list if there is none."""
    done, path = set(), []

    def visit(module):
        if module in path:
            return [*path[path.index(module) :], module]
        if module not in done:
            path.append(module)
            for imported in sorted(graph[module]):
                if cycle := visit(imported):
                    return cycle
            done.add(path.pop())
        return []

    return next(filter(None, map(visit, sorted(graph))), [])


def test_modules_import_one_another_without_a_cycle():
    sources = {module_name(file): file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py")}
    cycle = cycle_in(import_graph(sources))
    assert cycle == [], f"imported in a circle: {' → '.join(cycle)}"


@pytest.mark.parametrize(
    "closing",
    [
        "from p import a",
        "from p.a import f",
        "def f():\n    import p.a",
        "if TYPE_CHECKING:\n    from .a import f",
        'import_module("p.a")',
        'importlib.import_module("p.a")',
    ],
)
def test_a_cycle_is_found_however_it_is_closed(closing):
    sources = {
        "p": "",
        "p.a": "from p.b import f",
        "p.b": "import numpy, p.c",
        "p.c": "from p import d",
        "p.d": "",
    }
    assert cycle_in(import_graph(sources)) == []
    sources["p.c"] += f"\n{closing}"
    assert cycle_in(import_graph(sources)) == ["p.a", "p.b", "p.c", "p.a"]


def test_the_face_of_a_package_is_in_a_cycle_only_with_those_that_import_it_itself():
    sources = {"p": "from p.a import f", "p.a": "from p.b import f", "p.b": ""}
    assert cycle_in(import_graph(sources)) == []
    sources["p.b"] = "from p import f"
    assert cycle_in(import_graph(sources)) == ["p", "p.a", "p.b", "p"]


def test_the_core_is_where_this_test_looks_for_it():
    assert {"errors", "files", "machine", "processes", "scatter"} <= FOUNDATIONS
    assert all((PACKAGE / package / "__init__.py").exists() for package in CORE)


def loaded_by(statement):
    """Return the top-level modules that a fresh process has loaded after a statement."""
    program = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.usefixtures("starts_processes")
def test_the_core_loads_nothing_heavy():
    modules = [module_name(file) for file in CORE_MODULES]
    loaded = loaded_by(f"import {', '.join(modules)}")
    assert "numpy" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.usefixtures("starts_processes")
def test_the_trainer_loads_nothing_heavy():
    assert loaded_by("import w2v_exp.training.trainer") & HEAVY == set()


@pytest.mark.usefixtures("starts_processes")
def test_a_run_without_tracking_loads_no_pictures_pages_and_stores():
    """They take from 0.1 to 2 seconds to load, and are loaded where they are needed."""
    loaded = loaded_by("import w2v_exp.experiment.cli, w2v_exp.experiment.run, w2v_exp.experiment.run_report")
    assert "hydra" in loaded
    of_pages = {"PIL", "matplotlib"}
    of_stores = {"http", "mlflow", "pandas", "ssl"}
    assert loaded & (of_pages | of_stores | {"joblib", "optuna", "scipy", "sklearn"}) == set()


def test_files_of_tests_have_distinct_names():
    """Modules of tests are imported by their names, without folders: two of one name end a run of all tests."""
    names = [file.name for file in Path(__file__).parent.rglob("test_*.py")]
    assert len(set(names)) == len(names)
