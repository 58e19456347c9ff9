"""The commands that go on from a finished run, ready to paste."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework
from im2im.io.pairing import list_images
from im2im.io.writer import write_image

PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:~+@%")


def commands(framework: Framework, data: ImageData, run: Path) -> dict[str, str]:
    """Give a command for each thing a user does next, keyed by its purpose.

    Args:
        framework: Trained.
        data: Its test images become the example, of a training without any those of the validation or the training.
        run: The run folder.
    """
    origins = [Path(origin) for origin in framework.record.get("runs", [run])]
    example = example_input(data, run)
    other = "data.root=DATA" if example.parent != run else "data=folders data.root=DATA"
    return {
        "predict": _command("predict", run=origins, input=[example], output=[run / "predictions"]),
        "evaluate on other data": f"{_command('evaluate', run=origins)} {other}",
    }


def example_input(data: ImageData, run: Path) -> Path:
    """Find a test image on disk, or the folder when it holds test images alone; simulated ones are written to run/inputs first.

    Without test images the same of validation images, then of training images.
    """
    split = next(name for name in ("test", "val", "train") if any(pair.split == name for pair in data.pairs))
    sources = [pair.source for pair in data.pairs if pair.split == split]
    if sources[0].exists():
        folder = sources[0].parent
        return folder if set(list_images(str(folder))) == set(sources) else sources[0]
    for entry in data.entries(split):
        array = data.source.array(entry.source)
        axes = ("C" if array.shape[0] > 1 else "") + "ZYX"[1 - array.ndim :]
        if not (path := run / "inputs" / f"{entry.name}.tif").exists():
            write_image(path, array if array.shape[0] > 1 else array[0], axes, entry.source.pixel_size)
    return run / "inputs"


def _command(mode: str, **settings: Sequence[Path]) -> str:
    """Write a command line; paths are relative where they can be, and quoted where the shell or Hydra needs it."""
    return " ".join([interpreter(), "-m im2im", f"mode={mode}", *(_override(key, *paths) for key, paths in settings.items())])


def interpreter() -> str:
    """Give "python" where the shell finds the running one by that name, else its path, as in an environment that is not activated."""
    running = Path(sys.executable)
    if (found := shutil.which("python")) and Path(found) == running:
        return "python"
    return shlex.quote(_short(running))


def _short(path: Path) -> str:
    """Write a path relative to the working folder when it lies inside; links stay as they are."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(path)


def _override(key: str, *paths: Path) -> str:
    """Write key=path, or key=[path,path] of several."""
    texts = [_short(path) for path in paths]
    quoted = [text if set(text) <= PLAIN else f'"{text}"' for text in texts]
    if len(paths) > 1:
        return shlex.quote(f"{key}=[{','.join(quoted)}]")
    return f"{key}={texts[0]}" if quoted == texts else shlex.quote(f"{key}={quoted[0]}")
