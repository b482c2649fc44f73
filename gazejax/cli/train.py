"""The command `gazejax train`; `train.py` runs the same command."""

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging
from ml_collections import ConfigDict, config_flags

from gazejax.cli.paths import as_path, as_path_or_name
from gazejax.config.ablations import value_at
from gazejax.config.errors import ConfigError
from gazejax.config.files import read_config
from gazejax.config.rules import Rule
from gazejax.config.schema import rules_for
from gazejax.experiments.run import train_and_evaluate
from gazejax.runtime.distributed import ALLOWED
from gazejax.runtime.files import expand_home


def add_parser(commands: Any) -> None:
    """Adds the command.

    Args:
        commands: what `argparse` gave for the commands of `gazejax`.
    """
    training = commands.add_parser(
        "train",
        help="train all stages of a config and evaluate them; the same command resumes",
        epilog="--config.KEY=VALUE changes one value of the config, such as "
        "--config.encoder.num_steps=100. A config file is executed.",
        allow_abbrev=False,
    )
    training.add_argument(
        "--config",
        type=as_path_or_name,
        required=True,
        metavar="NAME_OR_FILE[:ABLATION+...]",
        help="such as osie, osie:memory_off or configs/osie.py",
    )
    training.add_argument("--workdir", type=as_path, required=True, metavar="DIR")
    training.add_argument(
        "--distributed",
        metavar="HOW",
        help=f"how to find the other processes of this training: {ALLOWED}; default: auto under "
        "Slurm and on TPU slices with several processes, off elsewhere",
    )
    training.set_defaults(run=_train, config_values=[])


def _train(arguments: argparse.Namespace) -> None:
    logging.set_verbosity(logging.WARNING)  # Orbax logs many lines for each save.
    config = with_flags(read_config(arguments.config), arguments.config_values)
    train_and_evaluate(config, arguments.workdir, distributed=arguments.distributed)


def with_flags(config: ConfigDict, arguments: Sequence[str]) -> ConfigDict:
    """Changes values of a config by flags, in place.

    Args:
        config: every value of the experiment.
        arguments: flags `--config.KEY=VALUE`; a value is read as the type that the config has, and
            None as None.

    Returns:
        The config.

    Raises:
        ConfigError: if the config has no such key, or a key that is given None may not be None.
        ValueError: naming the flag, if the flag is unknown or the value is of another type.
    """
    for argument in arguments:
        if match := re.match(r"--?(?:no)?config\.([^=]+)", argument):
            _check_key(config, match[1])
    others, none_keys = _take_none(rules_for(config.to_dict()), arguments)
    argv = ["gazejax train", *others]
    values = flags.FlagValues()
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
        unknown = values(argv)[1:]
    except flags.Error as error:
        raise ValueError(str(error)) from error
    if unknown:
        raise ValueError(
            f"unknown argument {unknown[0]!r}; allowed: --config, --workdir, --distributed, "
            "--config.KEY=VALUE"
        )
    changed = values.config
    for key in none_keys:
        changed.update_from_flattened_dict({key: None})
    data_dir = value_at(changed, "data.data_dir")
    if isinstance(data_dir, str):
        changed.data.data_dir = expand_home(data_dir)
    return changed


def _take_none(rules: Mapping[str, Any], arguments: Sequence[str]) -> tuple[list[str], set[str]]:
    """Takes out the flags that give None: absl reads None as a text where the config has a text.

    Returns:
        The other flags, and the keys that are None in the end.
    """
    joined: list[str] = []
    for argument in arguments:
        if argument == "None" and joined and re.fullmatch(r"--?config\.[^=]+", joined[-1]):
            joined[-1] += "=None"
        else:
            joined.append(argument)
    others: list[str] = []
    none_keys: set[str] = set()
    for argument in joined:
        match = re.fullmatch(r"--?config\.([^=]+)(?:=(.*))?", argument, re.DOTALL)
        key, value = (match[1], match[2]) if match else ("", None)
        rule = value_at(rules, key)
        if value != "None" or not isinstance(rule, Rule):
            others.append(argument)
            none_keys.discard(key)
        elif rule.test(None):
            none_keys.add(key)
        else:
            raise ConfigError(key, None, rule.allowed)
    return others, none_keys


def _check_key(config: ConfigDict, key: str) -> None:
    section, place = config, "config"
    for part in key.split("."):
        known = list(section) if isinstance(section, ConfigDict) else []
        if part not in known:
            allowed = f"a key of {place}: {', '.join(known) or 'it has none'}"
            text = f"the config has no key {key}; allowed: {allowed}"
            raise ConfigError(key, None, allowed, text)
        section, place = section[part], f"{place}.{part}"
