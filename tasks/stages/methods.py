"""What a trained artifact depends on beyond our own source: the package that brings its method."""

from importlib.metadata import entry_points

from tasks.evidence.environment import code_digest, package_versions
from tasks.training.methods.registry import GROUP


def method_identity(name: str) -> dict[str, object] | None:
    """Source and version of the installed package that brings the method; ``None`` for one of ours."""
    for point in entry_points(group=GROUP):
        method = point.load()
        if getattr(method, "name", None) == name:
            package = point.module.partition(".")[0]
            versions = package_versions((point.dist.name,)) if point.dist else {}
            return {"source": code_digest(package), "packages": versions}
    return None
