"""Where rows can lie: packed, in folders, behind URLs. Each ends in the same rows or in one clear error."""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pytest
import zstandard

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings
from tasks.data.reading.local_copies import copies_folder
from tasks.data.reading.source_files import find_data_files, is_hub_id
from tasks.data.reading.sources import read_rows
from tests.tasks.data.conftest import frame_of, kept_of

ROWS = [{"text": f"question {n}", "label": "xy"[n % 2]} for n in range(5)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()

Pack = Callable[[bytes], bytes]
PACKINGS: dict[str, Pack] = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORAFIRST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def texts(source: object, **columns: str) -> list[str]:
    settings = DataSettings(source=str(source), columns=ColumnSettings.model_validate(columns))
    return list(frame_of(read_rows(settings, Task.CLASSIFICATION))["text"])


def refusal(source: object) -> str:
    with pytest.raises(InputError) as caught:
        find_data_files(str(source))
    return str(caught.value)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", [".jsonl", ".csv"])
def test_a_packed_file_gives_the_rows_of_the_plain_one(tmp_path: Path, packing: str, kind: str) -> None:
    content = LINES if kind == ".jsonl" else pd.DataFrame(ROWS).to_csv(index=False).encode()
    path = tmp_path / f"rows{kind}{packing}"
    path.write_bytes(PACKINGS[packing](content))
    assert texts(path) == [row["text"] for row in ROWS]
    (file,) = find_data_files(str(path))
    assert file.name == path.name


@pytest.mark.parametrize("packing", PACKINGS)
def test_members_packed_one_after_another_are_all_read(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"rows.jsonl{packing}"
    pack = PACKINGS[packing]
    path.write_bytes(pack(LINES) + pack(LINES))
    assert len(texts(path)) == 2 * len(ROWS)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("keep", [5, 0.5, -1])
def test_a_packed_file_that_ends_early_is_named_and_leaves_nothing(
    tmp_path: Path, packing: str, keep: float
) -> None:
    whole = PACKINGS[packing](os.urandom(100_000) + LINES)
    kept = int(len(whole) * keep) if isinstance(keep, float) else keep
    path = tmp_path / f"rows.jsonl{packing}"
    path.write_bytes(whole[:kept])
    message = refusal(path)
    assert f"rows.jsonl{packing}, after line" in message
    assert "ends before its end marker" in message
    assert [entry for entry in copies_folder().rglob("*") if entry.is_file()] == []


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_file_that_is_not_packed_as_it_says_is_named(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"rows.jsonl{packing}"
    path.write_bytes(LINES)
    assert "or damaged" in refusal(path)


def test_a_packed_file_is_unpacked_once_and_anew_when_its_content_changes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(LINES))
    first = find_data_files(str(path))[0].path
    stamp = path.stat().st_mtime_ns
    assert find_data_files(str(path))[0].path == first
    path.write_bytes(gzip.compress(LINES[: LINES.index(b"\n") + 1]))
    os.utime(path, ns=(stamp, stamp))
    assert texts(path) == ["question 0"]


def test_a_packed_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet.gz"
    path.write_bytes(gzip.compress(b"PAR1"))
    assert "parquet packs its columns itself" in refusal(path)


def write_folder(root: Path) -> None:
    for language, n in (("en", 0), ("de", 1), ("__HIVE_DEFAULT_PARTITION__", 2), ("a%20b", 3)):
        folder = root / f"language={language}"
        folder.mkdir(parents=True)
        pd.DataFrame([ROWS[n]]).to_parquet(folder / "part-0.parquet")
    (root / "_SUCCESS").touch()
    (root / "README.md").write_text("about\n")
    (root / ".hidden.jsonl").write_text("{")


def test_the_names_of_partitions_become_columns(tmp_path: Path) -> None:
    write_folder(tmp_path / "rows")
    settings = DataSettings(source=str(tmp_path / "rows"), columns=ColumnSettings(keep=("language",)))
    rows = read_rows(settings, Task.CLASSIFICATION)
    assert list(kept_of(rows)["language"]) == ["", "a b", "de", "en"]
    assert list(frame_of(rows)["source_file"])[2] == "language=de/part-0.parquet"


def test_a_pattern_finds_partitions_as_a_folder_does(tmp_path: Path) -> None:
    write_folder(tmp_path / "rows")
    by_folder = find_data_files(str(tmp_path / "rows"))
    by_pattern = find_data_files(str(tmp_path / "rows" / "*" / "*.parquet"))
    assert [file.partitions for file in by_folder] == [file.partitions for file in by_pattern]


def test_a_column_that_is_also_a_partition_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "label=x"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(LINES)
    with pytest.raises(InputError, match="both in the file and in its folder's name"):
        texts(tmp_path / "label=x" / ".." / "*" / "a.jsonl")


def test_a_folder_with_files_that_are_not_read_is_refused_and_names_them(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.jsonl").write_bytes(LINES)
    (tmp_path / "rows" / "b.xlsx").write_bytes(b"x")
    message = refusal(tmp_path / "rows")
    assert "b.xlsx" in message
    assert "a.jsonl" not in message


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("about\n")
    assert "none of them of these kinds" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("source", "hub"),
    [("org/name", True), ("org/name@main", True), ("org/rows.jsonl.gz", False), ("s3://bucket/rows", False)],
)
def test_what_counts_as_a_hub_id(source: str, hub: bool) -> None:
    assert is_hub_id(source) is hub


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


@pytest.mark.parametrize("name", ["rows.jsonl", "*.jsonl", "", "rows.jsonl.gz"])
def test_rows_behind_a_url_are_those_of_a_file(memory: fsspec.AbstractFileSystem, name: str) -> None:
    packed = name.endswith(".gz")
    memory.pipe(
        "/bucket/rows.jsonl.gz" if packed else "/bucket/rows.jsonl", gzip.compress(LINES) if packed else LINES
    )
    assert texts(f"memory://bucket/{name}") == [row["text"] for row in ROWS]


def test_a_remote_file_that_changed_is_copied_anew(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/bucket/rows.jsonl", LINES)
    assert len(texts("memory://bucket/rows.jsonl")) == 5
    memory.pipe("/bucket/rows.jsonl", LINES[: LINES.index(b"\n") + 1])
    assert len(texts("memory://bucket/rows.jsonl")) == 1


def test_partitions_behind_a_url_become_columns(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/bucket/rows/language=en/a.jsonl", LINES)
    memory.pipe("/bucket/rows/language=de/a.jsonl", LINES)
    assert [file.partitions for file in find_data_files("memory://bucket/rows")] == [
        (("language", "de"),),
        (("language", "en"),),
    ]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("memory://bucket/none.jsonl", "nothing there"),
        ("ftp://host/rows.jsonl", "one of s3://, gs://"),
        ("zip://a.jsonl::s3://bucket/a.zip", "one of s3://, gs://"),
    ],
)
def test_urls_that_lead_nowhere(source: str, says: str) -> None:
    assert says in refusal(source)


def test_a_store_whose_package_is_absent_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "gcsfs", None)
    assert "pip install 'lorafirst[gcs]'" in refusal("gs://bucket/rows.jsonl")


def test_a_copy_cut_off_on_the_way_leaves_nothing(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/bucket/rows.jsonl", LINES)

    class Cut:
        def __enter__(self) -> "Cut":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def read(self, size: int) -> bytes:
            raise ConnectionResetError("connection reset by peer")

    monkeypatch.setattr(type(memory), "open", lambda *arguments, **options: Cut())
    assert "connection reset by peer" in refusal("memory://bucket/rows.jsonl")
    assert [entry for entry in copies_folder().rglob("*") if entry.is_file()] == []


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real S3 server on a loopback port, holding ``rows.jsonl`` and a partitioned folder."""
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket="data")
    for key in ("rows.jsonl", "parts/language=en/a.jsonl", "parts/language=de/a.jsonl"):
        client.put_object(Bucket="data", Key=key, Body=LINES)
    yield "s3://data"
    server.stop()


def require_rows_of_every_name(bucket: str) -> None:
    assert texts(f"{bucket}/rows.jsonl") == [row["text"] for row in ROWS]
    assert len(texts(f"{bucket}/parts")) == 2 * len(ROWS)
    assert len(texts(f"{bucket}/parts/*/a.jsonl")) == 2 * len(ROWS)
    assert [file.partitions for file in find_data_files(f"{bucket}/parts")] == [
        (("language", "de"),),
        (("language", "en"),),
    ]
    assert "nothing there" in refusal(f"{bucket}/none.jsonl")
    assert "nothing there" in refusal(bucket.replace("data", "no-such-bucket") + "/rows.jsonl")


@pytest.mark.slow
def test_rows_in_s3_are_read_from_a_real_server(bucket: str) -> None:
    require_rows_of_every_name(bucket)


@pytest.mark.slow
def test_an_object_replaced_in_s3_is_read_anew(bucket: str) -> None:
    import boto3

    assert len(texts(f"{bucket}/rows.jsonl")) == 5
    boto3.client("s3").put_object(Bucket="data", Key="rows.jsonl", Body=LINES[: LINES.index(b"\n") + 1])
    assert len(texts(f"{bucket}/rows.jsonl")) == 1


@pytest.fixture
def google_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real server of Google's storage interface on a loopback port, holding what ``bucket`` holds."""
    import time

    import gcsfs
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="data")
    server.start()
    deadline = time.monotonic() + 10
    while not (server._api._httpd or time.monotonic() > deadline):
        time.sleep(0.01)
    port = server._api._httpd.server_address[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    # As a reader without credentials: a look for those of the machine would ask the network for them.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    gcsfs.GCSFileSystem.clear_instance_cache()
    store = gcsfs.GCSFileSystem()
    for key in ("rows.jsonl", "rows.jsonl.gz", "parts/language=en/a.jsonl", "parts/language=de/a.jsonl"):
        store.pipe(f"data/{key}", gzip.compress(LINES) if key.endswith(".gz") else LINES)
    yield "gs://data"
    server.stop()
    gcsfs.GCSFileSystem.clear_instance_cache()


@pytest.mark.slow
def test_rows_in_google_storage_are_read_from_a_real_server(
    google_bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    require_rows_of_every_name(google_bucket)
    assert texts(f"{google_bucket}/rows.jsonl.gz") == [row["text"] for row in ROWS]
    assert "credentials" not in caplog.text


@pytest.mark.slow
def test_an_object_replaced_in_google_storage_is_read_anew(google_bucket: str) -> None:
    import gcsfs

    assert len(texts(f"{google_bucket}/rows.jsonl")) == 5
    gcsfs.GCSFileSystem().pipe("data/rows.jsonl", LINES[: LINES.index(b"\n") + 1])
    assert len(texts(f"{google_bucket}/rows.jsonl")) == 1


@pytest.mark.slow
def test_a_google_store_that_forbids_reading_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import http.server
    import threading

    import gcsfs

    class Forbidding(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b'{"error": {"code": 403, "message": "no storage.objects.list access"}}')

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forbidding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        gcsfs.GCSFileSystem.clear_instance_cache()
        message = refusal("gs://data/rows.jsonl")
        server.shutdown()
    gcsfs.GCSFileSystem.clear_instance_cache()
    assert "Forbidden" in message
    assert "those of gcloud" in message
