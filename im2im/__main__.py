"""The command line: ``python -m im2im`` and the console script ``im2im``."""

import atexit
import difflib
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from im2im import app
from im2im.console import opening
from im2im.nesting import leaves
from im2im.overrides import PATHS, is_sweep, paths_of, plain_settings, with_custom_network, with_paths_as_text, with_plan_file
from im2im.ranks import first_process, started_together

PACKAGE = Path(__file__).resolve().parent
HELP = {"--help", "-h"}
MULTIRUN = {"-m", "--multirun"}
ONLY_SHOWN = {"--cfg", "-c", *HELP, "--hydra-help", "--info", "-i", "--version"}
SWEEPERS: dict[str, dict[str, Any]] = {
    "grid": {"_target_": "hydra_plugins.im2im.GridSweeper", "max_batch_size": None, "params": None},
    "search": {"_target_": "hydra_plugins.im2im.SearchSweeper"},
}
FIXED = {"task", "experiment", "framework", "network", "search", "plan"}  # what a finished run is, or was found by


def main() -> None:
    """Compose the configuration that the command line asks for, and run it."""
    if os.environ.get("HYDRA_FULL_ERROR") != "1":
        sys.excepthook = tell
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on; tell() says them in one line
    OmegaConf.register_new_resolver("fresh_folder", fresh_folder, use_cache=True, replace=True)
    store_experiments()
    for name, settings in SWEEPERS.items():
        ConfigStore.instance().store(name, OmegaConf.create(settings), group="hydra/sweeper", provider="im2im")
    sys.argv[1:] = with_paths_as_text(with_custom_network(sys.argv[1:]))
    if "search" in plain_settings(sys.argv[1:]) and not (MULTIRUN | ONLY_SHOWN) & set(sys.argv):
        raise ValueError("a search makes many runs, got search= without -m; write python -m im2im -m search=quick")
    if MULTIRUN & set(sys.argv):
        register_sweepers()
        if not {"search", "hydra/sweeper"} & {argument.partition("=")[0] for argument in sys.argv}:
            sys.argv.append("hydra/sweeper=grid")
    sys.argv[1:] = with_plan_file(sys.argv[1:])
    name = store_run(sys.argv[1:]) or "config"
    if started_together() and MULTIRUN & set(sys.argv):
        raise ValueError("a sweep starts its own jobs, got -m in several processes; start one, with hydra/launcher=submitit_slurm")
    if not first_process():
        aside = tempfile.mkdtemp(prefix="im2im-")  # the first one writes
        atexit.register(shutil.rmtree, aside, ignore_errors=True)
        sys.argv += [f"hydra.run.dir='{aside}'", "hydra.output_subdir=null"]
    hydra.main(version_base="1.3", config_path=str(folder("conf")), config_name=name)(app.job)()


def folder(name: str) -> Path:
    """Find conf/ or experiments/: inside the installed package, or beside it in a clone."""
    return PACKAGE / name if (PACKAGE / name).is_dir() else PACKAGE.parent / name


def fresh_folder(path: str) -> str:
    """Make a folder of this name, numbered when it is taken, so that no run lands on another; none when the configuration is only shown."""
    if ONLY_SHOWN & set(sys.argv):
        return path
    candidate = path
    for number in itertools.count(2):
        try:
            Path(candidate).mkdir(parents=True)
            break
        except FileExistsError:
            candidate = f"{path}-{number}"
    return candidate


def register_sweepers() -> None:
    """Offer the sweepers of this project, which Hydra does not find by itself in an editable installation."""
    from hydra.core.plugins import Plugins

    try:
        import hydra_plugins
    except ImportError:
        hydra_plugins = sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")  # no other plugin is installed
        hydra_plugins.__path__ = []
    Plugins.instance()  # looks for plugins, and loads its own anew
    from im2im.search.grid import GridSweeper
    from im2im.search.sweeper import SearchSweeper

    home = hydra_plugins.im2im = sys.modules["hydra_plugins.im2im"] = ModuleType("hydra_plugins.im2im")  # where Hydra takes plugins from
    for kind in (GridSweeper, SearchSweeper):
        setattr(home, kind.__name__, kind)
        Plugins.instance().register(kind)


def store_experiments() -> None:
    """Offer every file of experiments/ as an option of the group ``experiment``.

    Its settings of a part are left out where the command line chooses another part: ``experiment=denoising_3d network=fnet``. The help
    only lists names, and Hydra copies all that is stored for every group that it lists: there they stay empty.
    """
    given, only_names = plain_settings(sys.argv[1:]), bool(HELP & set(sys.argv))
    for path in sorted(folder("experiments").glob("*.yaml")):
        loaded: Mapping[Any, Any] = {} if only_names else OmegaConf.load(path)  # type: ignore[assignment]
        settings = {key: value for key, value in loaded.items() if key not in given or not (folder("conf") / str(key)).is_dir()}
        ConfigStore.instance().store(path.stem, OmegaConf.create(settings), group="experiment", package="_global_", provider="experiments")


def store_run(arguments: list[str]) -> str | None:
    """Make the configuration of ``run=RUN`` the one to start from; every other argument overrides it.

    Args:
        arguments: Of the command line.

    Returns:
        The name of that configuration, or None where there is no ``run=``.

    Raises:
        ValueError: If there is no such run, or it cannot take another task.
    """
    given = plain_settings(arguments)
    runs = paths_of("run", given.get("run", "null"))
    if not runs:
        return None
    run = runs[0]
    if fixed := given.keys() & FIXED:
        raise ValueError(
            f"{fixed.pop()}= cannot change a finished run, got run={run}; start a new training from its weights with init={run}"
        )
    refuse_early(arguments, runs)
    if first_process() and not ONLY_SHOWN & set(sys.argv):
        facts = {key: value for key, value in given.items() if key in {"mode", "init", "input"}}
        sys.stderr.write(f"{opening({'run': ', '.join(runs), **facts})}\n")
    from im2im.saved import saved_configuration, splits_of, undo_selection

    config = saved_configuration(run, trust=given.get("trust", "").lower() == "true")
    if "splits" in config.data:
        config.data.splits = splits_of(run)
    groups = [path.name for path in sorted(folder("conf").iterdir()) if path.name in given]
    mode = given.get("mode", "train" if config.mode._target_ == app.TRAIN else "")
    if mode == "train" and len(runs) > 1:
        raise ValueError(f"several runs predict or evaluate together, got run={given['run']} for mode=train; go on with one of them")
    if mode == "train":
        undo_selection(config, run)
    home = {"hydra": {"run": {"dir": run}}} if mode == "train" and Path(run).is_dir() else {}
    kept = {str(key): config._get_node(key) for key in config if key not in {*groups, "hydra", "defaults"}}
    defaults = ["runtime", "_self_", *({group: given[group].strip("[]").split(",")[:1]} for group in groups)]
    node: dict[str, Any] = {"defaults": defaults, **kept, "run": run if len(runs) == 1 else runs, **home}
    ConfigStore.instance().store("saved_run", OmegaConf.create(node))
    return "saved_run"


def refuse_early(arguments: list[str], runs: list[str]) -> None:
    """Raise ValueError for what is wrong with a command line with ``run=`` already before torch reads that run.

    What a sweep goes through is left to its jobs.
    """
    from im2im.settings import refuse_missing, require_images

    for group, option in plain_settings(arguments).items():
        options = sorted(path.stem for path in (folder("conf") / group).glob("[!_]*.yaml"))
        if options and group in {"mode", "data"} and option not in options and not is_sweep(group, option):
            raise ValueError(no_option(group, option, options))
    given = {key: value for key, separator, value in (one.partition("=") for one in arguments) if separator}
    single = {key: given[key] for key in ("init", "input", "data.root") if key in given and not is_sweep(key, given[key])}
    refuse_missing({"run": runs, **{key: found[0] for key, value in single.items() if (found := paths_of(key, value))}})
    if given.get("mode") == "predict":
        require_images(given.get("input", given.get("mode.input")), given.get("output", given.get("mode.output")))


def tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say what went wrong in one line on stderr."""
    sys.stderr.write(f"{explain(error)}\n")


def explain(error: BaseException) -> str:
    """Turn an error of the command line into one line, with the nearest word for a mistyped one."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OverrideParseException):
        key, _, value = str(error.override).partition("=")
        example = f""", as in '{key}="{value}"'""" if key in PATHS else ""
        wrong = f"{error.override} cannot be understood ({str(error).splitlines()[0]})"
        return f"{wrong}; write key=value, and quote what has spaces or brackets{example}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        options = sorted(option for option in error.options or [] if not option.startswith("_"))
        return no_option(group, option, options)
    if isinstance(error, ConfigCompositionException) and (found := re.search(r"Could not override '(?:.*@)?([\w./]+)'", str(error))):
        key = found.group(1)
        return f"{key} is no setting of this configuration; {nearest(key, known_keys())}--cfg job lists them all, +{key}=VALUE adds one"
    return app.one_line(error)


def no_option(group: str, option: str, options: list[str]) -> str:
    """Say that a group has no such option, with the nearest one."""
    return f"{group}={option} is no option; {nearest(option, options)}choose one of: {', '.join(options)}"


def nearest(word: str, words: Iterable[str]) -> str:
    """Ask whether the most similar known word was meant; empty where none is similar."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"did you mean {close[0]}? " if close else ""


def known_keys() -> list[str]:
    """List the groups and keys of the default configuration, to find what a mistyped one meant."""
    groups = {path.name for path in folder("conf").iterdir() if path.is_dir()}
    chosen = [f"{key}={value}" for key, value in plain_settings(sys.argv[1:]).items() if key in groups | {"experiment"}]
    with hydra.initialize_config_dir(str(folder("conf")), version_base="1.3"):
        config = OmegaConf.to_container(hydra.compose("saved_run" if "saved_run.yaml" in ConfigStore.instance().repo else "config", chosen))
    keys = [key for key, _ in leaves(config)]
    parents = {".".join(key.split(".")[:depth]) for key in keys for depth in range(1, key.count(".") + 1)}
    return sorted({*keys, *parents, *groups})


if __name__ == "__main__":
    main()
