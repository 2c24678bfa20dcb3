"""Tags of a run name the code and the packages that it comes from."""

import importlib.metadata
import subprocess
import sys

import pytest

from w2v_exp.tracking.history import PACKAGES, package_versions, provenance
from w2v_exp.version import __version__


def test_versions_are_those_of_the_installed_packages():
    assert package_versions() == {package: importlib.metadata.version(package) for package in PACKAGES}
    assert list(package_versions(["numpy"])) == ["numpy"]


def test_a_run_without_tracking_does_not_name_mlflow():
    tracked, untracked = provenance(tracked=True), provenance(tracked=False)
    assert tracked.pop("version.mlflow") == importlib.metadata.version("mlflow")
    assert tracked == untracked
    assert untracked["version.w2v_exp"] == __version__


@pytest.mark.usefixtures("starts_processes")
def test_a_run_without_tracking_does_not_import_metadata_of_packages():
    program = (
        "import hydra, numpy, omegaconf, sys; from w2v_exp.tracking.history import provenance\n"
        "provenance(tracked=False); print('importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
