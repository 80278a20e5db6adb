"""What every test shares: one torch thread, deterministic kernels, and where real logs lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Read when torch starts, so set before it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch

REPOSITORY = Path(__file__).resolve().parents[1]

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds setup.cfg."""
    return REPOSITORY


@pytest.fixture(scope="session")
def compiler() -> None:
    """A test that asks for it is skipped where torch.compile finds no C++ compiler."""
    from torch._inductor import cpp_builder, exc

    try:
        cpp_builder.get_cpp_compiler()
    except exc.InvalidCxxCompiler:
        pytest.skip("needs a C++ compiler")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real logs; a test that asks for it is skipped where there is none."""
    folder = Path(os.environ.get("RECGYM_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real logs in {folder} (set RECGYM_DATA)")
    return folder
