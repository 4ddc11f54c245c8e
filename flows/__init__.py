"""Order and branches of the pipeline, and its command line.

Importing this package switches off the telemetry and the progress bars of every library that has any,
before one of them is imported. What is set already in the environment is left as it is.
"""

import os

_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # `evaluate` would tell the hub which of its metrics is loaded.
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    "GX_ANALYTICS_ENABLED": "false",
    # MLflow takes DO_NOT_TRACK for "true" alone.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Idle threads that spin keep the other cores from the process that has work.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Libraries' own bars would stand between the lines of the run.
    "TQDM_DISABLE": "1",
    # Tokenizers fork nothing here, and warn about it otherwise.
    "TOKENIZERS_PARALLELISM": "false",
}

for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)
