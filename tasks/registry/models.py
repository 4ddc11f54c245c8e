"""The registry: versions of models and the aliases by which they are found, kept by MLflow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import RegistryError
from data_contracts.records.evidence import CurvePoint
from data_contracts.records.registry import Alias, Candidate, Crowning, ModelVersion
from tasks.registry.entries import CROWNED, WITHDRAWN, source_of, tags_of, version_from
from tasks.registry.place import SQLITE, client_of, is_there, registry_location, shown

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_PAGE = 200


@dataclass(frozen=True)
class Registry:
    """Made by ``open_registry``. Whoever changes a model holds its lock (``tasks.registry.locking``)."""

    client: "MlflowClient"
    where: str
    """For messages: without a password."""

    def models(self) -> tuple[str, ...]:
        """Names, sorted."""
        with _told(self.where):
            found = list(_all(lambda token: self.client.search_registered_models(None, _PAGE, None, token)))
        return tuple(sorted(model.name for model in found))

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        """Oldest first; empty where there is no such model."""
        aliases = self._aliases(model)
        if aliases is None:
            return ()
        query = f"name='{model}'"
        with _told(self.where):
            found = list(_all(lambda token: self.client.search_model_versions(query, _PAGE, None, token)))
        ours = [version for each in found if (version := version_from(each, aliases)) is not None]
        return tuple(sorted(ours, key=lambda each: each.version))

    def add(self, candidate: Candidate, curve: Sequence[CurvePoint]) -> ModelVersion:
        """The version of this run's artifact, which is made unless it is there."""
        known = next((each for each in self.versions(candidate.model) if each.candidate == candidate), None)
        if known is not None:
            return known
        with _told(self.where):
            if self._aliases(candidate.model) is None:
                self.client.create_registered_model(candidate.model)
            run = self.client.create_run(self._experiment(candidate.model), run_name=candidate.run_id)
            self.client.log_batch(run.info.run_id, metrics=_metrics(curve, run.info.start_time))
            self.client.set_terminated(run.info.run_id)
            made = self.client.create_model_version(
                candidate.model, source_of(candidate), run_id=run.info.run_id, tags=tags_of(candidate)
            )
        return next(each for each in self.versions(candidate.model) if each.version == int(made.version))

    def call(self, version: ModelVersion, alias: Alias) -> None:
        """Gives ``version`` the alias, which any other version of the model loses."""
        with _told(self.where):
            self.client.set_registered_model_alias(version.candidate.model, alias.value, str(version.version))

    def uncall(self, version: ModelVersion, alias: Alias) -> None:
        """Takes the alias from ``version``, if it has it."""
        model = version.candidate.model
        if (self._aliases(model) or {}).get(alias.value) == str(version.version):
            with _told(self.where):
                self.client.delete_registered_model_alias(model, alias.value)

    def crown(self, version: ModelVersion, crowning: Crowning) -> None:
        """Notes how ``version`` came to be champion."""
        self._tag(version, CROWNED, crowning.canonical_json().decode())

    def withdraw(self, version: ModelVersion, reason: str) -> None:
        """Notes why the champion's place was taken from ``version``."""
        self._tag(version, WITHDRAWN, reason)

    def restore(self, version: ModelVersion) -> None:
        """Takes back ``withdraw``: it is champion again."""
        if version.withdrawn is not None:
            with _told(self.where):
                self.client.delete_model_version_tag(version.candidate.model, str(version.version), WITHDRAWN)

    def _tag(self, version: ModelVersion, key: str, value: str) -> None:
        with _told(self.where):
            self.client.set_model_version_tag(version.candidate.model, str(version.version), key, value)

    def _aliases(self, model: str) -> dict[str, str] | None:
        """``None`` where there is no such model."""
        from mlflow.exceptions import MlflowException

        with _told(self.where):
            try:
                found = self.client.get_registered_model(model)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise
        return {name: str(version) for name, version in found.aliases.items()}

    def _experiment(self, model: str) -> str:
        name = f"lorafirst/{model}"
        found = self.client.get_experiment_by_name(name)
        made: str = found.experiment_id if found is not None else self.client.create_experiment(name)
        return made


def open_registry(output: Path) -> Registry:
    """The registry of the runs below ``output``, which is made if need be.

    Raises:
        InputError: MLflow is not installed.
        RegistryError: it cannot be reached or read.
    """
    location = registry_location(output)
    with _told(shown(location)):
        if location.startswith(SQLITE):
            Path(location.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        return Registry(client_of(location), shown(location))


def registry_at_hand(output: Path) -> Registry | None:
    """The same; ``None`` where nothing was ever registered."""
    return open_registry(output) if is_there(registry_location(output)) else None


def champion_of(versions: Sequence[ModelVersion]) -> ModelVersion | None:
    return called(versions, Alias.CHAMPION)


def called(versions: Sequence[ModelVersion], alias: Alias) -> ModelVersion | None:
    return next((each for each in versions if alias in each.aliases), None)


def _metrics(curve: Sequence[CurvePoint], started: int) -> list[Any]:
    """Losses in nats; points of one curve share a time, since the curve tells steps alone."""
    from mlflow.entities import Metric

    points = [("tune_loss", point.tune_loss, point.step) for point in curve]
    points += [
        ("train_loss", point.train_loss, point.step) for point in curve if point.train_loss is not None
    ]
    return [Metric(name, value, started, step) for name, value, step in points]


def _all(page: Any) -> Iterator[Any]:
    token: str | None = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if not token:
            return


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What MLflow and the database under it raise, in words of ours."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except RegistryError:
        raise
    except Exception as error:
        foreign = type(error).__module__.partition(".")[0] in ("mlflow", "requests", "alembic")
        if not foreign and not isinstance(error, SQLAlchemyError | OSError):
            raise
        # Without the error that it came from: tracebacks would tell its URL, password included.
        raise _refused(where, error) from None


def _refused(where: str, error: Exception) -> RegistryError:
    # Never the whole text: it may repeat a URL with its password.
    found = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
    if "@" in found:
        found = type(error).__name__
    return RegistryError(
        where, found=found, remedy="check that it is there and can be written to, and start again"
    )
