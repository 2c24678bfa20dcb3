"""What figures of speed depend on: the machine, and the versions of what runs on it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info


def machine_description() -> dict[str, Any]:
    """Return what the figures depend on: processor and versions."""
    blas = [
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture')})" for pool in threadpool_info()
    ]
    names = [
        line.split(":", 1)[1].strip()
        for line in _lines(Path("/proc/cpuinfo"))
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": ", ".join(blas),
    }


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # not Linux
        return []
