"""How much memory there is, read from files like the kernel's, and what is refused for lack of it."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.examples.batches import Examples
from w2v_exp.examples.pairs import Pairs
from w2v_exp.machine import NotEnoughMemoryError, available_memory, readable_bytes, require_memory

MEGABYTE = 1 << 20
VERSION_2 = ("memory.max", "memory.current", "inactive_file")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
UNLIMITED_IN_VERSION_1 = 9223372036854771712


@pytest.fixture
def machine(tmp_path):
    """A machine whose kernel says that 1,000 MB are available; this process is in no control group."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(
        f"MemTotal:       8000000 kB\nMemAvailable:   {1000 * 1024} kB\nHugePages_Total:       0\n"
    )
    return tmp_path


def membership(machine: Path, *lines: str) -> None:
    (machine / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))


def control_group(machine: Path, folder: str, names, limit, used: int, cached: int = 0) -> None:
    group = machine / "sys/fs/cgroup" / folder
    group.mkdir(parents=True, exist_ok=True)
    limit_file, usage_file, cache_field = names
    (group / limit_file).write_text(f"{limit}\n")
    (group / usage_file).write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 5\n{cache_field} {cached}\nactive_file 7\n")


def test_without_a_control_group_the_kernel_estimate_counts(machine):
    assert available_memory(machine) == 1000 * MEGABYTE


def test_where_the_system_does_not_tell_nothing_is_known(tmp_path):
    assert available_memory(tmp_path) is None


def test_an_old_kernel_has_no_estimate(machine):
    (machine / "proc/meminfo").write_text("MemTotal: 8000000 kB\nMemFree: 1000 kB\n")
    assert available_memory(machine) is None


@pytest.mark.parametrize(
    ("line", "folder", "names"),
    [
        ("0::/job", "job", VERSION_2),
        ("0::/", ".", VERSION_2),  # a container sees its own group as the root
        ("9:cpu,memory:/job", "memory/job", VERSION_1),
        ("9:memory:/docker/4f2a", "memory", VERSION_1),  # the path is the one outside of the container
    ],
)
def test_the_limit_of_a_control_group_counts(machine, line, folder, names):
    membership(machine, "1:name=systemd:/init", line)
    control_group(machine, folder, names, limit=300 * MEGABYTE, used=100 * MEGABYTE)
    assert available_memory(machine) == 200 * MEGABYTE


def test_cached_files_are_not_used_memory(machine):
    membership(machine, "0::/job")
    control_group(machine, "job", VERSION_2, 300 * MEGABYTE, used=290 * MEGABYTE, cached=200 * MEGABYTE)
    assert available_memory(machine) == 210 * MEGABYTE


def test_a_limit_of_a_group_above_counts(machine):
    membership(machine, "0::/outer/inner")
    control_group(machine, "outer/inner", VERSION_2, "max", used=10 * MEGABYTE)
    control_group(machine, "outer", VERSION_2, 50 * MEGABYTE, used=20 * MEGABYTE)
    assert available_memory(machine) == 30 * MEGABYTE


@pytest.mark.parametrize(
    ("line", "folder", "names", "limit"),
    [
        ("0::/job", "job", VERSION_2, "max"),
        ("9:memory:/job", "memory/job", VERSION_1, UNLIMITED_IN_VERSION_1),
        ("9:cpu:/job", "cpu/job", VERSION_1, 5),
    ],
)
def test_what_is_no_limit_does_not_count(machine, line, folder, names, limit):
    membership(machine, line)
    control_group(machine, folder, names, limit, used=10 * MEGABYTE)
    assert available_memory(machine) == 1000 * MEGABYTE


def test_a_group_over_its_limit_has_nothing_left(machine):
    membership(machine, "0::/job")
    control_group(machine, "job", VERSION_2, limit=10, used=11)
    assert available_memory(machine) == 0


def test_a_group_without_files_is_passed_over(machine):
    membership(machine, "0::/job")
    assert available_memory(machine) == 1000 * MEGABYTE


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux only")
def test_this_machine_tells():
    assert 0 < available_memory() < 1 << 60


def test_the_limit_of_a_control_group_refuses(machine, monkeypatch):
    membership(machine, "0::/job")
    control_group(machine, "job", VERSION_2, limit=300 * 10**6, used=100 * 10**6)
    monkeypatch.setattr("w2v_exp.machine.available_memory", lambda: available_memory(machine))
    require_memory(2 * 10**8, "all that is left", "")
    with pytest.raises(NotEnoughMemoryError, match="needs 201 MB, and 200 MB are available"):
        require_memory(201 * 10**6, "a little more", lambda available: f"There are {available} bytes.")


def test_what_fits_is_allowed():
    require_memory(1, "a byte", "")


def test_what_does_not_fit_is_refused_with_both_numbers_and_the_advice():
    available = available_memory()
    if available is None:
        pytest.skip("this system does not tell")
    with pytest.raises(NotEnoughMemoryError) as refusal:
        require_memory(10**18, "labels=dense", "Use labels=sparse.")
    first, second = str(refusal.value).splitlines()
    assert first.startswith("labels=dense needs 1,000,000 TB, and ")
    assert first.endswith("B are available.")
    assert second == "Use labels=sparse."


def test_one_hot_labels_that_do_not_fit_are_refused_before_anything_is_allocated():
    if available_memory() is None:
        pytest.skip("this system does not tell")
    ids = np.broadcast_to(np.int32(0), 10**9)  # a thousand million pairs that take 4 bytes
    tracemalloc.start()
    try:
        with pytest.raises(NotEnoughMemoryError) as refusal:
            Examples(Pairs(ids, ids, 10**6), labels="dense", batch_size=128, order="corpus", dtype=np.float64)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000
    first, second = str(refusal.value).splitlines()
    assert "labels=dense" in first
    assert "1,000,000,000 pairs" in first
    assert "needs 8,000 TB, and " in first
    assert second == "Use labels=sparse: 4 GB."


# ---------------------------------------------------------------- what a person would say

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@property_settings(deadline=None)
@given(st.one_of(st.integers(0, 10**18), st.floats(1, 1e18)))
def test_bytes_are_said_in_three_digits(number):
    said, unit = readable_bytes(number).split()
    assert "e" not in said
    assert unit == "TB" or float(said) < 1000
    assert float(said.replace(",", "")) * UNITS[unit] == pytest.approx(number, rel=0.006)


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 B"), (999, "999 B"), (999.6, "1 kB"), (1000, "1 kB"), (999_499, "999 kB"), (999_500, "1 MB")],
)
def test_bytes_at_the_borders_of_units(number, said):
    assert readable_bytes(number) == said
