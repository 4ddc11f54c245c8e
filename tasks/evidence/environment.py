"""Where a run takes place: versions, machine, and the digest of lorafirst's own code."""

import hashlib
import importlib.util
import os
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from getpass import getuser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from data_contracts.records.evidence import Accelerator, Environment

DATA_PACKAGES = (
    *("datasets", "great-expectations", "pandas", "pyarrow", "transformers", "tokenizers"),
    *("numpy", "ftfy", "scikit-learn", "scipy", "cleanlab"),
)
TRAINING_PACKAGES = (
    *("torch", "transformers", "tokenizers", "peft", "bitsandbytes", "accelerate"),
    *("datasets", "numpy", "pandas", "pyarrow"),
)
SCORING_PACKAGES = (*TRAINING_PACKAGES, "scikit-learn", "scipy", "rouge-score", "sacrebleu", "rapidfuzz")
_ALL = ("lorafirst", "prefect", "scipy", *DATA_PACKAGES, *SCORING_PACKAGES)


CODE = ("data_contracts", "tasks", "flows")
"""Packages whose sources are a run's code."""


def capture_environment(accelerator: Accelerator | None = None) -> Environment:
    """This machine and what is installed on it; the GPU must be named, because nothing here imports torch."""
    commit = _git("rev-parse", "HEAD")
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        processor_count=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        packages=package_versions(_ALL),
        accelerator=accelerator,
        code=code_digest(*CODE),
        commit=commit,
        commit_is_clean=None if commit is None else _git("status", "--porcelain") == "",
    )


def user_name() -> str:
    """Of whoever started this process."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"  # a container without a passwd entry


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Installed version by name; ``absent`` for what is not installed."""
    return {name: _version(name) for name in sorted(set(names))}


@cache
def code_digest(*packages: str) -> str:
    """Digest of the Python sources of the given packages or modules of ours, such as ``tasks.training``."""
    running = hashlib.sha256()
    for package in sorted(packages):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no package {package} to take a code digest of")
        origin = Path(spec.origin)
        folder = origin.parent
        for path in sorted(folder.rglob("*.py")) if spec.submodule_search_locations else [origin]:
            running.update(f"{package}/{path.relative_to(folder).as_posix()}\0".encode())
            running.update(hashlib.sha256(path.read_bytes()).digest())
    return "sha256:" + running.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _git(*arguments: str) -> str | None:
    """What git says of the checkout that this file lies in; ``None`` where there is neither."""
    root = Path(__file__).resolve().parents[2]
    # An installed package may lie inside somebody else's checkout.
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(root), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
