"""What packages take of memory by themselves, in a new process: ``python -m benchmarks.peers.package NAME``."""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib import import_module

from benchmarks.child import run_child, shared_out_memory


@cache
def package_memory(name: str) -> int:
    """Return the bytes that are resident when a package is loaded into a Python that has nothing else to do."""
    bytes_there: int = run_child("peers.package", name).report["bytes"]
    return bytes_there


if __name__ == "__main__":
    import_module(sys.argv[1])
    print(json.dumps({"bytes": shared_out_memory()}))
