"""Which version a rollback goes to."""

from collections.abc import Sequence

from data_contracts.errors import InputError
from data_contracts.records.registry import Alias, ModelVersion


def rollback_target(versions: Sequence[ModelVersion], *, model: str, to: int | None) -> ModelVersion:
    """The version ``to``; unset, the champion before the present one, those passed over that were themselves
    rolled back from.

    Raises:
        InputError: there is no champion, no such version, or one that no gate has ever made champion.
    """
    champion = next((each for each in versions if Alias.CHAMPION in each.aliases), None)
    if champion is None or champion.crowned is None:
        raise InputError.single(
            f"model {model!r}",
            expected="a model with a champion",
            found="no champion" if versions else "no version of it",
            remedy="`lorafirst models` lists models; `lorafirst promote RUN` makes the first champion",
        )
    if to is None:
        before = [
            each
            for each in versions
            if each.crowned is not None and each.withdrawn is None and each.crowned.at < champion.crowned.at
        ]
        if not before:
            raise InputError.single(
                f"model {model!r}",
                expected="an earlier champion to go back to",
                found=f"version {champion.version}, before which there was none",
                remedy="name a version with --to; `lorafirst models` lists them",
            )
        return max(before, key=lambda each: each.crowned.at if each.crowned else "")
    chosen = next((each for each in versions if each.version == to), None)
    if chosen is not None and chosen.crowned is not None and chosen is not champion:
        return chosen
    found = (
        "no such version"
        if chosen is None
        else "the champion itself"
        if chosen is champion
        else "a version that was never champion"
    )
    crowned = [str(each.version) for each in versions if each.crowned is not None and each is not champion]
    raise InputError.single(
        f"model {model!r}, version {to}",
        expected=f"an earlier champion: {', '.join(crowned) or 'there is none'}",
        found=found,
        remedy="what was never champion has to pass the promotion gate: `lorafirst promote RUN`",
    )
