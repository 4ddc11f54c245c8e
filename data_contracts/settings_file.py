"""Reading one YAML settings file: everything wrong with it at once, each with its line.

Unknown keys are errors that name the nearest known one. Relative paths are taken from the file's own
folder, so that a run does not depend on where it was started from.
"""

import difflib
import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from data_contracts.errors import InputError, Problem
from data_contracts.records.policy import SHIPPED_POLICIES, LmEvalRule, Policy, merged
from data_contracts.records.scoring import HUB, ReportedModule, ScoringSettings
from data_contracts.records.settings import RunSettings
from data_contracts.source_names import kind_of, protocol_of

MOST_BYTES = 500 * 1024
"""Of settings as JSON: they are parameters of a flow run, of which Prefect takes 512 KiB with all others."""


def load_settings(path: Path) -> RunSettings:
    """The settings in ``path``, whole and valid, with absolute paths.

    Raises:
        InputError: the file is missing, is not YAML, is not valid settings (every problem is listed), or is
            longer than what a run can be given.
    """
    node = _compose(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _not_yaml(path, error) from error
    duplicates = list(_duplicate_keys(node, path))
    if not isinstance(values, dict):
        raise InputError.single(
            str(path),
            expected="settings: keys such as name, task, model, data and policy",
            found="an empty file" if values is None else f"a {type(values).__name__}",
            remedy="start from one of the files in examples/, or see `lorafirst schema`",
        )
    own = _own_policy(values, path)
    try:
        settings = RunSettings.model_validate(own.laid_under(values) if own else values)
    except ValidationError as error:
        problems = (_problem(item, node, path, own) for item in error.errors())
        raise InputError([*duplicates, *problems]) from error
    if duplicates:
        raise InputError(duplicates)
    resolved = resolve_paths(settings, path.resolve().parent)
    _require_not_too_large(resolved, path)
    return resolved


def _require_not_too_large(settings: RunSettings, path: Path) -> None:
    size = len(settings.model_dump_json())
    if size <= MOST_BYTES:
        return
    parts = {name: len(part.model_dump_json()) for name, part in settings if isinstance(part, BaseModel)}
    largest = max(parts, key=lambda name: parts[name])
    raise InputError.single(
        str(path),
        expected=f"settings of at most {MOST_BYTES:,} bytes as JSON, with every default",
        found=f"{size:,} bytes, {parts[largest]:,} of them in {largest}",
        remedy=f"shorten {largest}; where it lists files or values, a pattern may say the same",
    )


def own_policy_file(path: Path) -> Path | None:
    """The file that ``policy.extends`` of the settings in ``path`` names, which may not be there.

    Raises:
        InputError: the settings are no YAML.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        extended = values["policy"]["extends"]
    except (OSError, UnicodeDecodeError, KeyError, TypeError):
        return None  # `load_settings` says what is wrong
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _not_yaml(path, error) from error
    shipped = not isinstance(extended, str) or extended in SHIPPED_POLICIES
    return None if shipped else path.parent / extended


@dataclass(frozen=True)
class _OwnPolicy:
    """A policy file of the user's own."""

    path: Path
    node: yaml.Node | None
    values: dict[str, Any]

    def laid_under(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings, with the file's values wherever they say nothing about the policy themselves."""
        inherited = {
            "extends": self.values.get("extends", "default"),
            "name": self.values.get("name", self.path.stem),
        }
        above = {key: value for key, value in settings["policy"].items() if key != "extends"}
        return {**settings, "policy": merged({**self.values, **inherited}, above)}


def _own_policy(values: dict[str, Any], path: Path) -> _OwnPolicy | None:
    """The file that ``policy.extends`` names; ``None`` where it names a shipped policy or nothing.

    Raises:
        InputError: the file is missing, is not YAML, says a key twice, or holds no policy.
    """
    policy = values.get("policy")
    extended = policy.get("extends") if isinstance(policy, dict) else None
    if not isinstance(extended, str) or extended in SHIPPED_POLICIES:
        return None
    file = path.parent / extended
    if not file.is_file():
        near = difflib.get_close_matches(extended, SHIPPED_POLICIES, n=1)
        raise InputError.single(
            f"{path}, policy.extends",
            expected=f"{', '.join(SHIPPED_POLICIES)}, or a YAML file",
            found=f"{extended!r}, and no such file",
            remedy=f"did you mean {near[0]!r}?" if near else f"check the path {file}",
        )
    node = _compose(file)
    if duplicates := list(_duplicate_keys(node, file)):
        raise InputError(duplicates)
    own = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(own, dict):
        raise InputError.single(
            str(file),
            expected="a policy: keys such as name, alpha, seeds and remedies",
            found="an empty file" if own is None else f"a {type(own).__name__}",
            remedy="start from a copy of one of the files in data_contracts/policies",
        )
    return _OwnPolicy(file, node, own)


def resolve_paths(settings: RunSettings, folder: Path) -> RunSettings:
    """The settings with every relative path taken from ``folder``."""
    model = settings.model.model_copy(update={"source": _resolved(settings.model.source, folder)})
    data = settings.data.model_copy(
        update={
            "source": _resolved(settings.data.source, folder),
            "contract": _resolved_file(settings.data.contract, folder),
            "earlier": tuple(str(folder / each) for each in settings.data.earlier),
        }
    )
    training = settings.training
    if training.replay is not None:
        source = _resolved(training.replay.source, folder)
        replay = training.replay.model_copy(update={"source": source})
        training = training.model_copy(update={"replay": replay})
    return settings.model_copy(
        update={
            "model": model,
            "data": data,
            "training": training,
            "output": folder / settings.output,
            "policy": _with_task_files(settings.policy, folder),
            "scoring": _with_scripts(settings.scoring, folder),
        }
    )


def _with_task_files(policy: Policy, folder: Path) -> Policy:
    def resolved(rule: LmEvalRule) -> LmEvalRule:
        is_file = rule.task.endswith((".yaml", ".yml"))
        return rule.model_copy(update={"task": str(folder / rule.task)}) if is_file else rule

    tasks = tuple(resolved(rule) for rule in policy.guardrails.lm_eval)
    rails = policy.guardrails.model_copy(update={"lm_eval": tasks})
    return policy.model_copy(update={"guardrails": rails})


def _with_scripts(scoring: ScoringSettings, folder: Path) -> ScoringSettings:
    def resolved(module: ReportedModule) -> ReportedModule:
        from_hub = module.module.startswith(HUB)
        return module if from_hub else module.model_copy(update={"module": str(folder / module.module)})

    return scoring.model_copy(update={"report": tuple(resolved(each) for each in scoring.report)})


def _resolved(source: str, folder: Path) -> str:
    """An absolute path for what exists there or can only be a path; names of packages and hubs stay."""
    if source.startswith("package:") or protocol_of(source) is not None:
        return source
    path = folder / source
    looks_like_path = source.startswith((".", "/")) or source.endswith(".gguf") or kind_of(source) is not None
    return str(path) if looks_like_path or path.exists() or glob.glob(str(path)) else source


def _resolved_file(source: str | None, folder: Path) -> str | None:
    return None if source is None else str(folder / source)


def _compose(path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError as error:
        folder = path.parent
        names = [item.name for item in folder.glob("*.y*ml")] if folder.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
        raise InputError.single(
            str(path),
            expected="a settings file",
            found="no such file",
            remedy=f"did you mean {folder / near[0]}?" if near else "check the path",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError.single(
            str(path), expected="a readable text file in UTF-8", found=str(error), remedy="check the file"
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _not_yaml(path, error) from error


def _not_yaml(path: Path, error: Exception) -> InputError:
    mark = getattr(error, "problem_mark", None)
    found = getattr(error, "problem", None) or str(error).partition("\n")[0] or type(error).__name__
    return InputError.single(
        f"{path}, line {mark.line + 1}" if mark else str(path),
        expected="YAML of plain keys and values",
        found=str(found),
        remedy="correct the line" if mark else "correct the file",
    )


def _duplicate_keys(node: yaml.Node | None, path: Path) -> Iterator[Problem]:
    """YAML keeps the last of two equal keys silently; here the second is an error."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                yield Problem(
                    where=f"{path}, line {line}, {key.value}",
                    expected="each key once",
                    found=f"the key again (first on line {seen[key.value]})",
                    remedy="keep one of the two",
                )
            seen.setdefault(key.value, line)
            yield from _duplicate_keys(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicate_keys(value, path)


def _problem(error: Mapping[str, Any], node: yaml.Node | None, path: Path, own: _OwnPolicy | None) -> Problem:
    location = [part for part in error["loc"] if part in _keys_on_the_way(error["loc"])]
    key = ".".join(str(part) for part in location)
    if own and location[:1] == ["policy"] and _depth(own.node, location[1:]) > _depth(node, location) - 1:
        # The value stands in the policy's own file, and only there can it be corrected.
        where = f"{own.path}, line {_line_of(own.node, location[1:])}, {key.removeprefix('policy.')}"
    else:
        where = f"{path}, line {_line_of(node, location)}" + (f", {key}" if key else "")
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _fields_at(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        return Problem(
            where=where,
            expected=f"one of {', '.join(known)}",
            found=f"unknown key {location[-1]!r}",
            remedy=f"did you mean {near[0]!r}?" if near else "remove it",
        )
    if kind == "missing":
        return Problem(
            where=where, expected=f"a value for {key}", found="nothing", remedy=f"add {location[-1]}"
        )
    message = str(error["msg"]).removeprefix("Value error, ")
    return Problem(
        where=where,
        expected=message[:1].lower() + message[1:],
        found=_shown(location, error.get("input")),
        remedy="correct the value; `lorafirst schema` describes every key",
    )


def _shown(location: list[Any], found: object) -> str:
    if location[:1] == ["notifications"]:
        return "something else"  # perhaps an address that is a secret
    return "these keys together" if isinstance(found, dict) else repr(found)


def _keys_on_the_way(location: tuple[str | int, ...]) -> set[str | int]:
    """The parts of an error's location that are keys or indexes, without pydantic's names of union arms."""
    keys: set[str | int] = set()
    model: type[BaseModel] | None = RunSettings
    for part in location:
        if isinstance(part, int) or model is None:
            if isinstance(part, int):
                keys.add(part)
            continue
        keys.add(part)
        field = model.model_fields.get(part)
        model = _model_in(field.annotation) if field else None
    return keys


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The one model that an annotation leads to, through ``None`` and lists; ``None`` for several or none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = [model for part in get_args(annotation) if (model := _model_in(part)) is not None]
    return models[0] if len(models) == 1 else None


def _fields_at(location: list[str | int]) -> list[str]:
    model: type[BaseModel] = RunSettings
    for part in location:
        if isinstance(part, int):
            continue
        inner = _model_in(model.model_fields[part].annotation)
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _depth(node: yaml.Node | None, location: list[str | int]) -> int:
    """How many parts of ``location`` stand in the file."""
    depth = 0
    for part in location:
        if not isinstance(node, yaml.MappingNode):
            break
        match = next((pair for pair in node.value if pair[0].value == str(part)), None)
        if match is None:
            break
        node, depth = match[1], depth + 1
    return depth


def _line_of(node: yaml.Node | None, location: list[str | int]) -> int:
    """The line of the deepest part of ``location`` that stands in the file, counted from 1."""
    line = node.start_mark.line if node else 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1
