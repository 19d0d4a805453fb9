"""What is half written is never seen, and what was altered is never used."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.errors import EnvironmentFault, StoreError

ROWS = pa.table({"id": [1, 2, 3], "name": ["a", "b", None]})


def written(store: Store) -> Artifact:
    return snapshots.write(store, "raw", "k", ROWS, parents={"source": "s"}, config={"seed": 0}, rows_per_file=2)


def test_rows_come_back_in_order_from_several_files(store: Store) -> None:
    artifact = written(store)
    assert len(artifact.files) == 2
    assert snapshots.read(artifact).equals(ROWS)


def test_columns_and_rows_can_be_chosen(store: Store) -> None:
    assert snapshots.read(written(store), ["name"], pc.field("id") > 1).to_pydict() == {"name": ["b", None]}


def test_it_can_be_read_as_if_it_held_some_of_its_files(store: Store) -> None:
    artifact = written(store)
    some = artifact.only(artifact.files[1:])
    assert (some.rows, snapshots.read(some)["id"].to_pylist(), artifact.rows) == (1, [3], 3)


def test_an_adopted_file_is_listed_and_read_like_its_own(store: Store) -> None:
    first, stage = written(store), store.stage("raw", "other")
    for entry in first.files:
        stage.adopt(first, entry)
    second = stage.commit({}, {}, {}, first.manifest["schema"])
    assert second.files == first.files
    assert snapshots.read(second).equals(ROWS)


def test_a_folder_without_manifest_does_not_exist(store: Store) -> None:
    stage = store.stage("models", "half")
    stage.write_bytes("model.onnx", b"half")
    assert store.find("models", "half") is None
    assert store.keys("models") == []


def test_getting_what_is_not_there_says_so(store: Store) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        store.get("models", "none")


def test_a_truncated_file_is_refused(store: Store) -> None:
    artifact = written(store)
    path = Path(artifact.folder) / artifact.files[0].name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="is not the file in its manifest"):
        snapshots.read(artifact)


def test_one_flipped_byte_is_refused(store: Store) -> None:
    artifact = written(store)
    path = Path(artifact.folder) / artifact.files[0].name
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is not the file in its manifest"):
        snapshots.read(artifact)


def test_an_altered_blob_is_refused(store: Store) -> None:
    stage = store.stage("models", "m")
    stage.write_bytes("card.json", b"{}")
    artifact = stage.commit({}, {})
    (Path(artifact.folder) / "card.json").write_bytes(b"[]")
    with pytest.raises(StoreError, match="altered"):
        artifact.read_json("card.json")


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "FORMAT").write_text("99\n")
    with pytest.raises(StoreError, match=r"format '99'.*reads format 1"):
        Store(str(tmp_path))


def test_a_store_is_made_by_what_is_first_kept_in_it_not_by_looking(tmp_path: Path) -> None:
    root = tmp_path / "new"
    assert Store(str(root)).find("raw", "k") is None
    assert not root.exists()
    Store(str(root)).stage("raw", "k")
    assert [path.name for path in root.iterdir()] == ["FORMAT"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"no": "format"}', '{"format": 2}'])
def test_a_manifest_that_is_none_is_refused(store: Store, text: str) -> None:
    path = Path(written(store).folder) / "manifest.json"
    path.write_text(text)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        store.find("raw", "k")


def test_a_folder_that_cannot_be_written_says_which_and_what_to_do(store: Store) -> None:
    store.begin()
    Path(store.path("models")).write_text("a file where a folder must be")
    with pytest.raises(EnvironmentFault, match=r"could not be written.*storage\.root"):
        store.stage("models", "m").write_bytes("x", b"x")


def test_keys_are_listed_oldest_first(store: Store) -> None:
    for key in ("b", "a", "c"):
        store.stage("models", key).commit({}, {})
    assert store.keys("models") == ["b", "a", "c"]


def test_a_manifest_names_parents_config_code_and_schema(store: Store) -> None:
    manifest = written(store).manifest
    assert manifest["parents"] == {"source": "s"}
    assert manifest["config"] == {"seed": 0}
    assert manifest["schema"] == [["id", "int64"], ["name", "string"]]
    assert manifest["code"]
