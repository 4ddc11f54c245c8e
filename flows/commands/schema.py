"""``lorafirst schema``: the JSON schema of a settings file."""

import json

import typer


def schema() -> None:
    """Print the JSON schema of a settings file, for editors."""
    from data_contracts.records.settings import RunSettings

    document = RunSettings.model_json_schema()
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    typer.echo(json.dumps(document, indent=2))
