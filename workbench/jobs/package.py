"""What a job is sent: the code that it runs and its config, and nothing else; small, and the same bytes each time."""

import importlib.machinery
import io
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.digest import sha256
from workbench.errors import ConfigError, InputError

LIMIT_BYTES = 2 * 2**20
LISTED = 10
OURS = ("workbench", "workloads", "serve")
ROOT = Path(__file__).resolve().parents[2]
NO_CODE = (".pyc", ".md")  # of what lies among code
LEFT_OUT = ("__pycache__", "node_modules")
ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")  # what tells that a folder is one
THEN = (1980, 1, 1, 0, 0, 0)  # of every file: a zip holds times, and they are no content


@dataclass(frozen=True)
class Package:
    """The files of a job by their names in it, and the archive that holds them."""

    files: dict[str, bytes]
    archive: bytes

    @property
    def digest(self) -> str:
        """The name of the code alone, without the config."""
        return sha256(b"".join(f"{name}:{sha256(text)}\n".encode() for name, text in sorted(self.files.items())))[:16]

    def told(self) -> str:
        """Its size and its ten largest files, for people."""
        largest = sorted(self.files.items(), key=lambda one: -len(one[1]))[:LISTED]
        lines = [f"  {len(content):>10,} {name}" for name, content in largest]
        return "\n".join([f"{len(self.archive):,} bytes in {len(self.files)} files; the largest:", *lines])


def package(names: Iterable[str], beside: dict[str, bytes], folder: Path) -> Package:
    """The code of these modules, and what lies beside it; raises `InputError` where it is more than 2 MiB.

    `names` are the first parts of modules' names. Ours are found where they are, others in `folder`; what is installed
    there is not sent: the cluster has its own.
    """
    found = {name: path for one in [*OURS, *names] for name, path in _files(one, folder)}
    files = {name: path.read_bytes() for name, path in sorted(found.items())}
    made = Package(files, archive({**files, **beside}))
    if len(made.archive) > LIMIT_BYTES:
        raise InputError(
            f"The package is too large: {made.told()}\n{LIMIT_BYTES:,} bytes are allowed. Move data out of the folders"
            " of code: jobs read it from storage.root or data.source.path."
        )
    return made


def archive(files: dict[str, bytes]) -> bytes:
    """A zip of these files; the same content gives the same bytes, so that it is uploaded once."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for name, content in sorted(files.items()):
            about = zipfile.ZipInfo(name, THEN)
            about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            zipped.writestr(about, content)
    return made.getvalue()


def modules(paths: Sequence[str | None]) -> list[str]:
    """The first parts of the modules that these functions, `package.module:name`, are in."""
    return sorted({path.partition(":")[0].partition(".")[0] for path in paths if path} - set(OURS))


def _files(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of a module by their names in the package; none where it is installed and not in the folder."""
    spec = importlib.machinery.PathFinder.find_spec(name, [str(ROOT if name in OURS else folder)])
    if spec is None or _installed(spec):
        return
    for place in spec.submodule_search_locations or ():
        yield from ((f"{name}/{one.relative_to(place).as_posix()}", one) for one in _walk(Path(place)))
    if not spec.submodule_search_locations and spec.origin:
        yield Path(spec.origin).name, Path(spec.origin)


def _installed(spec: importlib.machinery.ModuleSpec) -> bool:
    own = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]
    return spec.name not in OURS and any(one.startswith(sysconfig.get_path("purelib")) for one in own)


def _walk(folder: Path) -> Iterator[Path]:
    if any((folder / mark).exists() for mark in ENVIRONMENTS):
        return
    for one in sorted(folder.iterdir()):
        if one.name.startswith(".") or one.name in LEFT_OUT or one.suffix in NO_CODE:
            continue
        if one.is_symlink() and not one.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{one} leads out of the code. Replace the link by what it names, or move it away.")
        yield from _walk(one) if one.is_dir() else [one]
