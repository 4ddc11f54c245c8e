"""What settings may name that come from a form on a server and not from their own user's file.

Whoever fills in the form may be anybody with the server's password. Files are read and written in one folder
only, and code of others is called only if whoever keeps the server has named it.
"""

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from data_contracts.errors import InputError, Problem
from data_contracts.hub_names import is_hub_name
from data_contracts.package_paths import PREFIX
from data_contracts.records.rungs import OWN_RUNGS, RUNG_GROUP
from data_contracts.records.scoring import HUB
from data_contracts.records.settings import RunSettings
from data_contracts.settings_file import load_settings, own_policy_file, resolve_paths
from data_contracts.source_names import protocol_of

FOLDER_VARIABLE = "LORAFIRST_FOLDER"
"""The folder that whoever fills in the form may read from and write to, subfolders included."""
CODE_VARIABLE = "LORAFIRST_ALLOWED_CODE"
"""Code of others that settings may name, separated by commas: modules and packages, scripts in the folder by
their path in it, and ``hub:NAME``."""
_REMOTE = ("s3", "gs")


@dataclass(frozen=True)
class ServedFolder:
    """The folder, and the code that settings may name."""

    folder: Path
    allowed_code: frozenset[str] = frozenset()

    def settings(self, asked: RunSettings) -> RunSettings:
        """The settings with relative paths taken from the folder.

        Raises:
            InputError: they name what lies elsewhere, or code that is not allowed; with every problem.
        """
        settings = resolve_paths(asked, self.folder)
        problems = [*self._paths(settings), *self._code(settings)]
        if problems:
            raise InputError(problems)
        return settings

    def file(self, asked: Path, where: str) -> Path:
        """The path in the folder; raises ``InputError`` if it leads out of it."""
        path = self.folder / asked
        if not self._holds(path):
            raise InputError([self._outside(where, str(asked))])
        return path

    def settings_in(self, asked: Path, where: str) -> RunSettings:
        """Those in a file of the folder, with relative paths taken from the file's own folder.

        Raises:
            InputError: as ``settings`` and ``load_settings`` say.
        """
        path = self.file(asked, where)
        own = own_policy_file(path)
        if own is not None and not self._holds(own):
            raise InputError([self._outside(f"{where}, policy.extends", str(own))])
        return self.settings(load_settings(path))

    def _holds(self, path: Path) -> bool:
        # Links are followed, so that one that leads out is out.
        return path.resolve().is_relative_to(self.folder.resolve())

    def _outside(self, where: str, found: str) -> Problem:
        return Problem(
            where=where,
            expected="a path inside the folder that is served",
            found=found,
            remedy="put it into that folder and name it relative to the folder",
        )

    def _paths(self, settings: RunSettings) -> Iterator[Problem]:
        plain = {"output": str(settings.output), "data.contract": settings.data.contract}
        plain |= {f"data.earlier.{order}": each for order, each in enumerate(settings.data.earlier)}
        for where, path in plain.items():
            if path is not None and not self._holds(Path(path)):
                yield self._outside(where, path)
        replay = settings.training.replay
        sources = {
            "model.source": settings.model.source,
            "data.source": settings.data.source,
            "training.replay.source": replay.source if replay else None,
        }
        for where, source in sources.items():
            if source is not None:
                yield from self._source(where, source)

    def _source(self, where: str, source: str) -> Iterator[Problem]:
        protocol = protocol_of(source)
        if source.startswith(PREFIX) or protocol in _REMOTE:
            return
        if protocol is not None:
            yield Problem(
                where=where,
                expected=f"a path in the folder that is served, package:, {' or '.join(_REMOTE)}",
                found=f"{protocol}:",
                remedy="name a file in that folder, relative to it",
            )
        elif not Path(source).is_absolute():
            # What is no path has stayed as it is: the name of a model or data set on a hub.
            if not is_hub_name(source) or ".." in Path(source).parts:
                yield self._outside(where, source)
        elif glob.has_magic(source) and ".." in Path(source).parts:
            # Where a pattern goes up again cannot be told from the pattern.
            yield self._outside(where, source)
        # As far down as the files are looked for later.
        elif not all(map(self._holds, map(Path, (source, *glob.iglob(source, recursive=True))))):
            yield self._outside(where, source)

    def _code(self, settings: RunSettings) -> Iterator[Problem]:
        named: list[tuple[str, str]] = [
            (f"scoring.custom.{order}.function", each.function.partition(":")[0])
            for order, each in enumerate(settings.scoring.custom)
        ]
        named += [
            (f"scoring.report.{order}.module", self._script(each.module))
            for order, each in enumerate(settings.scoring.report)
        ]
        named += [
            # Such a file can name functions beside it.
            (f"policy.guardrails.lm_eval.{order}.task", self._script(each.task))
            for order, each in enumerate(settings.policy.guardrails.lm_eval)
            if each.task.endswith((".yaml", ".yml"))
        ]
        named += [
            (f"{part}.method", _module_of(method))
            for part, method in (("pilot", settings.pilot.method), ("full", settings.full.method))
            if method not in OWN_RUNGS
        ]
        for where, code in named:
            if not self._allows(code):
                yield Problem(
                    where=where,
                    expected=f"code that {CODE_VARIABLE} of the server names",
                    found=code,
                    remedy="leave it out, or ask whoever keeps the server to allow it",
                )

    def _script(self, path: str) -> str:
        if path.startswith(HUB):
            return path.partition("@")[0]
        inside = Path(path).resolve()
        root = self.folder.resolve()
        return inside.relative_to(root).as_posix() if inside.is_relative_to(root) else path

    def _allows(self, code: str) -> bool:
        parts = code.split(".")
        packages = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
        return code in self.allowed_code or (
            "/" not in code and ":" not in code and bool(packages & self.allowed_code)
        )


def _module_of(method: str) -> str:
    """Where the method of an installed package comes from, as its entry point says; nothing is imported."""
    found = [point.module for point in entry_points(group=RUNG_GROUP, name=method)]
    return found[0] if len(found) == 1 else method


def served_folder() -> ServedFolder | None:
    """What the environment says; ``None`` where nothing is served, and settings are their own user's."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return None
    allowed = os.environ.get(CODE_VARIABLE, "").split(",")
    return ServedFolder(Path(folder), frozenset(name.strip() for name in allowed if name.strip()))


def settings_of_file(path: Path, where: str) -> RunSettings:
    """Those in a file, which lies in the served folder where one is served.

    Raises:
        InputError: they cannot be used, or name what they may not; with every problem.
    """
    served = served_folder()
    return load_settings(path) if served is None else served.settings_in(path, where)
