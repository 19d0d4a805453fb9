"""What the Dockerfile promises and can be read off it; `test_images.py` asks the images themselves."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "Dockerfile").read_text()
STAGES = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", TEXT, re.DOTALL | re.MULTILINE))


def last(stage: str, instruction: str) -> str:
    """The arguments of the last instruction of that kind."""
    return re.findall(rf"^{instruction} (.*)$", STAGES[stage], re.MULTILINE)[-1]


def test_the_three_images_are_there() -> None:
    assert {"serve", "full", "sagemaker"} <= set(STAGES)


@pytest.mark.parametrize(("stage", "user"), [("serve", "1000:1000"), ("full", "1000:1000"), ("sagemaker", "0:0")])
def test_an_image_runs_as_the_user_that_its_host_wants(stage: str, user: str) -> None:
    assert last(stage, "USER") == user


@pytest.mark.parametrize("stage", ["runtime", "sagemaker"])
def test_a_signal_reaches_the_process_itself(stage: str) -> None:
    assert last(stage, "ENTRYPOINT").startswith('["/usr/bin/tini", "--"')


@pytest.mark.parametrize(("stage", "path"), [("serve", ":8000/readyz"), ("sagemaker", ":8080/ping")])
def test_what_serves_is_asked_whether_it_can(stage: str, path: str) -> None:
    assert "HEALTHCHECK" in STAGES[stage] and path in STAGES[stage]


def test_what_is_installed_is_pinned() -> None:
    installs = [line for line in TEXT.replace("\\\n", " ").split("&&") if "pip install" in line]
    assert len(installs) == 3
    assert [line for line in installs if "--constraint constraints.txt" not in line and "==" not in line] == []


def test_no_image_holds_what_built_it() -> None:
    assert [
        stage for stage in ("base", "runtime", "serve", "full", "sagemaker") if "python3-venv" in STAGES[stage]
    ] == []


def test_what_is_copied_is_in_the_context_and_nothing_else_is() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    words = [word for line in re.findall(r"^COPY ((?!--from).*)$", TEXT, re.MULTILINE) for word in line.split()[:-1]]
    copied = {word.replace("${WHEELS}", "deploy/wheels") for word in words}
    assert copied == sent
    assert [path for path in sent if not (ROOT / path).exists()] == []


def test_the_version_of_the_tags_is_the_packages() -> None:
    version = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[0]
    for name in ("deploy/build_without_docker.sh", "deploy/compose.yaml", "deploy/containers.md"):
        assert set(re.findall(r"ray-ai-workbench:(\d[\d.]*\d)", (ROOT / name).read_text())) == {version}, name
