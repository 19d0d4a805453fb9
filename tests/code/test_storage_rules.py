"""Keys do not lie in the store, and what a bucket asks for is in no config."""

from pathlib import Path

import pytest

from workbench.errors import ConfigError
from workloads import door


@pytest.mark.parametrize("keys", ["store", "store/keys", "other/../store/a/b", "link/keys"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_keys_do_not_lie_in_the_store(tmp_path: Path, keys: str, scheme: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with pytest.raises(ConfigError, match=r"keys.folder=.* lies in storage.root=.* Use a folder outside it"):
        door.composed([f"storage.root={scheme}{tmp_path}/store", f"keys.folder={tmp_path}/{keys}"])
    door.composed([f"storage.root={scheme}{tmp_path}/store", f"keys.folder={tmp_path}/store-keys"])
    door.composed(["storage.root=s3://bucket/store", f"keys.folder={tmp_path}/{keys}"])


def test_what_a_bucket_asks_for_belongs_into_the_environment_and_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match="holds a key, and configs are shown") as refused:
        door.composed(["storage.root=s3://key:hidden@bucket/store"])
    assert "hidden" not in str(refused.value)
    with pytest.raises(ConfigError, match="Leave them to AWS_ENDPOINT_URL"):
        door.composed(['storage.root="s3://bucket/store?endpoint_override=localhost:9000"'])
