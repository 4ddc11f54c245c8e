"""Settings are valid as a whole, or every problem is told at once with its line."""

from pathlib import Path

import pytest

from data_contracts.errors import InputError
from data_contracts.settings_file import load_settings

GOOD = """\
name: trec
task: classification
model:
  source: org/model
data:
  source: rows.jsonl
policy:
  metric: accuracy
  target: 0.9
  margin: 0.02
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_settings(write(folder, text))
    return [str(problem) for problem in caught.value.problems]


def test_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD + "output: elsewhere\n"))
    assert settings.data.source == str(tmp_path / "rows.jsonl")
    assert settings.output == tmp_path / "elsewhere"
    assert settings.model.source == "org/model"


def test_an_unknown_key_is_told_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, GOOD + "pilot:\n  rnak: 8\n")
    assert "run.yaml, line 12, pilot.rnak" in problem
    assert "did you mean 'rank'?" in problem


def test_keys_inside_lists_and_optional_parts_are_named(tmp_path: Path) -> None:
    slices = "    slices:\n    - {column: label, equals: HUM, marign: 0.1}\n"
    rails = f"  guardrails:\n{slices}    forgetting: {{margn: 1}}\n"
    told = "\n".join(problems_of(tmp_path, GOOD + rails))
    for expected in (
        "line 13, policy.guardrails.slices.0.name",
        "policy.guardrails.slices.0.marign",
        "did you mean 'margin'?",
        "line 14, policy.guardrails.forgetting.margn",
    ):
        assert expected in told, told


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("task: classification\n", "").replace("source: rows.jsonl", "sorce: rows.jsonl")
    problems = problems_of(tmp_path, text + "seed: many\n")
    told = "\n".join(problems)
    for expected in ("task", "data.sorce", "did you mean 'source'?", "seed", "'many'"):
        assert expected in told, told
    assert len(problems) == 4  # sorce is unknown and source is missing


def test_a_key_given_twice_is_an_error(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, GOOD + "seed: 1\nseed: 2\n")
    assert "line 12, seed" in problem and "first on line 11" in problem


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("target: 0.9", "target: 1.9", "outside accuracy's range 0 to 1"),
        ("margin: 0.02", "margin: 0.95", "everything would pass"),
        ("metric: accuracy", "metric: word_error_rate", "does not apply to task 'classification'"),
        ("metric: accuracy", "metric: acuracy", "is unknown; known are accuracy"),
        ("name: trec", "name: ../../etc", "pattern"),
        ("margin: 0.02", "margin: 0.02\n  alpha: 0.7", "less than 0.5"),
    ],
)
def test_what_cannot_be_met_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert told in "\n".join(problems_of(tmp_path, GOOD.replace(old, new)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "an empty file"),
        ("- a\n- b\n", "a list"),
        ("name: [trec\n", "line 2"),
        ("name: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
    ],
)
def test_what_is_not_settings_is_told_plainly(tmp_path: Path, text: str, told: str) -> None:
    assert told in "\n".join(problems_of(tmp_path, text))


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(InputError, match=r"did you mean .*run\.yaml"):
        load_settings(tmp_path / "runs.yaml")


def test_settings_that_no_flow_run_can_be_given_are_refused_with_their_size(tmp_path: Path) -> None:
    earlier = "".join(f"    - snapshots/{number:06}\n" for number in range(20_000))
    large = GOOD.replace("source: rows.jsonl\n", f"source: rows.jsonl\n  earlier:\n{earlier}")
    (problem,) = problems_of(tmp_path, large)
    assert "at most 512,000 bytes" in problem and "of them in data" in problem and "shorten data" in problem
    assert load_settings(write(tmp_path, large.replace(earlier, earlier[: 23 * 100]))).data.earlier
