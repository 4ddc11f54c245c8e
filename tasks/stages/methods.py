"""What artifacts depend on beyond our own source: code of installed packages that the settings name."""

import importlib.util
from pathlib import Path

from tasks.evidence.environment import code_digest, package_versions
from tasks.training.methods.registry import brought_by


def method_identity(name: str) -> dict[str, object] | None:
    """Source and version of the installed package that brings the method; ``None`` for one of ours."""
    point = brought_by(name)
    if point is None:
        return None
    versions = package_versions((point.dist.name,)) if point.dist else {}
    return {"source": source_digest(point.module), "packages": versions}


def source_digest(module: str) -> str:
    """Digest of the whole package that ``module`` belongs to, or of its one file."""
    top = module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    # A namespace has no file of its own and may be shared by packages that have nothing to do with it.
    has_file = spec is not None and spec.origin is not None and Path(spec.origin).is_file()
    return code_digest(top if has_file else module)
