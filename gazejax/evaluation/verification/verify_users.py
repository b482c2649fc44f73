"""Stage 1 on folds: verification and identification, with intervals."""

import functools
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gazejax.evaluation.folds import Fold, Run, fewest_images, resample_users_of
from gazejax.evaluation.session_texts import ACROSS
from gazejax.evaluation.verification import protocol, sessions
from gazejax.metrics import bootstrap, verification


class Variant(NamedTuple):
    """A method, with gallery and probe of one session or of two where sessions are known.

    Attributes:
        table: key of the table of the metrics.
        sizes: numbers of images of a gallery and of a probe.
        num_images: test images that independent draws share.
        score: number of images -> scores of every fold.
    """

    table: str
    sizes: list[int]
    num_images: int
    score: Callable[[int], list[protocol.VerificationScores]]


def verify_users(
    group: str, run: Run
) -> tuple[dict[str, Any], dict[str, dict[str, verification.RocCurve]], dict[str, dict[str, Any]]]:
    """Stage 1 for the seen or the unseen users.

    Returns:
        Tables: `encoder`, with gallery and probe of one session where sessions are known, and
        `encoder_across_sessions`, with those of two sessions, where users have two;
        `<table>_differences`, the encoder minus each control. ROC curves, and resampled metrics of
        the encoder, of each table.
    """
    folds, options = run.folds, run.config.eval
    num_images = len(folds[0].splits.test_images)
    tables: dict[str, dict[str, Any]] = {}
    chance: dict[str, dict[str, Any]] = defaultdict(dict)
    resampled: dict[str, dict[str, dict[str, dict[str, np.ndarray]]]] = {}
    curves: dict[str, dict[str, verification.RocCurve]] = defaultdict(dict)
    users_of: dict[tuple[str, int], tuple[tuple[int, ...], ...]] = {}
    weight_of = functools.cache(functools.partial(resample_users_of, run=run))
    for method, variant in variants_of(group, run):
        if method != "encoder" and variant.table not in tables:
            continue  # Shorter scanpaths may leave out so many users that few others are most.
        rows = tables.setdefault(variant.table, {})[method] = {}
        values_of = resampled.setdefault(variant.table, {})[method] = {}
        for size in variant.sizes:
            scores = variant.score(size)
            users = tuple(tuple(one.users.tolist()) for one in scores)
            if users_of.setdefault((variant.table, size), users) != users:
                continue  # Shorter scanpaths may leave out users, and other users are no control.
            if method == "encoder" or (method == "residual_map" and size == variant.sizes[-1]):
                label = f"{method.replace('_', ' ')}, n = {size}"
                curves[variant.table][label] = protocol.mean_curve(scores)
            values = protocol.resampled_verification_metrics(
                scores,
                weight_of(users),
                size=size,
                num_images=variant.num_images,
                seed=options.seed,
            )
            values_of[str(size)] = values
            rows[str(size)] = {
                **with_intervals(protocol.verification_metrics(scores), values),
                "num_users": len(np.unique(np.concatenate([one.users for one in scores]))),
                "num_images": num_images,
                "num_draws": options.num_draws,
            }
            if method == "encoder":
                chance[variant.table][str(size)] = protocol.chance_metrics(
                    [len(one.users) for one in scores],
                    samples_per_user=scores[0].samples_per_user,
                )
        if not rows:
            print(
                f"control {method} left out of table {variant.table} of {group} users: it compares "
                "other users than the encoder",
                file=sys.stderr,
            )
            del tables[variant.table][method], resampled[variant.table][method]
    differences = {
        f"{key}_differences": {
            f"encoder_minus_{method}": {
                size: difference(
                    table["encoder"][size],
                    row,
                    resampled[key]["encoder"][size],
                    resampled[key][method][size],
                )
                for size, row in rows.items()
                if size in table["encoder"]
            }
            for method, rows in table.items()
            if method != "encoder"
        }
        for key, table in tables.items()
    }
    with_chance = {key: table | {"chance": chance[key]} for key, table in tables.items()}
    of_encoder = {key: of_methods["encoder"] for key, of_methods in resampled.items()}
    return with_chance | differences, curves, of_encoder


def variants_of(group: str, run: Run) -> list[tuple[str, Variant]]:
    """What the seen or the unseen users are scored by: each method, with each table it is in."""
    folds, orders = run.folds, _orders(run)
    # A method that one fold lacks says nothing about all of them.
    represented = [[*fold.compared[group]] for fold in folds]
    apart = compares_sessions(run)
    by_draws = not apart and not divides_images(run)
    if apart:
        represented += [[*fold.recorded[group]] for fold in folds]
    methods = [method for method in represented[0] if all(method in known for known in represented)]
    if by_draws:
        return [(method, _all_viewings(method, group, run, orders)) for method in methods]
    divide = functools.cache(functools.partial(_divide, group=group, run=run, apart=apart))
    return [
        (method, _divided(method, division, group, run, apart=apart))
        for method in methods
        # Draws take long: methods of the same viewings share them.
        for division in divide(_same_viewings(method, run, apart=apart))
    ]


def _all_viewings(
    method: str, group: str, run: Run, orders: Int[np.ndarray, "draw image"]
) -> Variant:
    """What a method is scored by where all users saw the same images, and no sessions are known."""
    folds, options = run.folds, run.config.eval
    fewest = fewest_images(folds, method)
    if fewest < 2:
        raise ValueError(
            f"{run.dataset.name}: a user saw {fewest} of the test images that count; allowed: at "
            "least 2, to enrol with one and to compare with another one"
        )

    def score(size: int) -> list[protocol.VerificationScores]:
        return [
            protocol.score_draws(
                fold.compared[group][method],
                orders,
                size=size,
                samples_per_user=min(fewest // size, options.samples_per_user),
                seed=options.seed,
            )
            for fold in folds
        ]

    sizes = protocol.usable_sizes(options.num_images, fewest)
    return Variant("encoder", sizes, orders.shape[1], score)


class _Division(NamedTuple):
    """How the images are divided among galleries and probes, within a session or across sessions.

    Attributes:
        across: whether gallery and probe are of two sessions.
        sizes: numbers of images of a gallery and of a probe.
        num_images: test images that independent draws share.
        draw: number of images -> the draws of each group, of every fold.
    """

    across: bool
    sizes: list[int]
    num_images: int
    draw: Callable[[int], list[list[sessions.SessionDraws]]]


def _recordings_of(
    method: str, fold: Fold, group: str, *, apart: bool
) -> sessions.RecordingRepresentations:
    """The recordings of a group; those of the encoder for a control that is left out of it."""
    if apart:
        return fold.recorded[group].get(method, fold.recorded[group]["encoder"])
    known = fold.compared[group]
    return sessions.joined_recordings(known.get(method, known["encoder"]))


def _same_viewings(method: str, run: Run, *, apart: bool) -> str:
    """The encoder, if a method counts the same viewings of every group and fold; else the method.

    Args:
        method: one of the methods.
        run: the run.
        apart: as of `_divide`.
    """

    def viewed(method: str) -> list[np.ndarray]:
        return [
            _recordings_of(method, fold, group, apart=apart).viewed
            for fold in run.folds
            for group in fold.compared
        ]

    is_same = all(map(np.array_equal, viewed(method), viewed("encoder")))
    return "encoder" if is_same else method


def _divide(method: str, group: str, run: Run, *, apart: bool) -> list[_Division]:
    """Divides the images among galleries and probes, as the viewings of a method allow.

    Args:
        method: one of the methods.
        group: of users.
        run: the run.
        apart: whether sessions are kept apart; else each user has one.
    """
    folds, options, orders = run.folds, run.config.eval, _orders(run)
    recorded = [
        _recordings_of(method, fold, one, apart=apart) for fold in folds for one in fold.compared
    ]
    divisions = []
    for across in (False, True) if apart else (False,):
        which: dict[str, Any] = {"across": across, "seed": options.seed}
        available = sessions.available_images(recorded, across=across)
        usable = {
            sessions.usable_size(recorded, orders, size, **which)
            for size in {min(size, available // 2) for size in options.num_images}
        }
        if usable == {0}:
            continue

        def draw(size: int, which: dict[str, Any] = which) -> list[list[sessions.SessionDraws]]:
            return [
                sessions.draw_sessions(
                    _recordings_of(method, fold, group, apart=apart), orders, size=size, **which
                )
                for fold in folds
            ]

        sizes = sorted(usable - {0})
        divisions.append(_Division(across, sizes, available, functools.cache(draw)))
    return divisions


def _divided(method: str, division: _Division, group: str, run: Run, *, apart: bool) -> Variant:
    """What a method is scored by where the images are divided among galleries and probes.

    Args:
        method: one of the methods.
        division: of its viewings.
        group: of users.
        run: the run.
        apart: as of `_divide`.
    """
    orders, seed = _orders(run), run.config.eval.seed

    def score(size: int) -> list[protocol.VerificationScores]:
        return [
            of_group
            for fold, drawn in zip(run.folds, division.draw(size), strict=True)
            for of_group in sessions.score_sessions(
                _recordings_of(method, fold, group, apart=apart),
                orders,
                size=size,
                across=division.across,
                seed=seed,
                drawn=drawn,
            )
        ]

    table = "encoder" + (ACROSS if division.across else "")
    return Variant(table, division.sizes, division.num_images, score)


def compares_sessions(run: Run) -> bool:
    """Whether sessions are kept apart; not if they are not known, or too short to be compared."""
    recorded = [known["encoder"] for fold in run.folds for known in fold.recorded.values()]
    usable = sessions.usable_size(
        recorded, _orders(run), 1, across=False, seed=run.config.eval.seed
    )
    return usable > 0


def divides_images(run: Run) -> bool:
    """Whether images are divided among galleries and probes, where sessions are joined.

    Not where all users of every fold and group saw the same test images, which needs no division,
    nor where users saw so few that most could not be compared.
    """
    known = [of_group["encoder"] for fold in run.folds for of_group in fold.compared.values()]
    if all((one.viewed == one.viewed[:1]).all() for one in known):
        return False
    joined = [sessions.joined_recordings(one) for one in known]
    seed = run.config.eval.seed
    return sessions.usable_size(joined, _orders(run), 1, across=False, seed=seed) > 0


def _orders(run: Run) -> Int[np.ndarray, "draw image"]:
    num_images, options = len(run.folds[0].splits.test_images), run.config.eval
    return protocol.sample_image_orders(num_images, options.num_draws, options.seed)


def with_intervals(
    metrics: Mapping[str, float | None], resampled: Mapping[str, Float[np.ndarray, " resample"]]
) -> dict[str, Any]:
    """Each metric, a plain number, and beside it its interval; None for both if unknown."""
    row: dict[str, Any] = {}
    for name, value in metrics.items():
        row[name] = value
        row[f"{name}_interval"] = None if value is None else bootstrap.interval(resampled[name])
    return row


def difference(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    resampled_one: Mapping[str, Float[np.ndarray, " resample"]],
    resampled_other: Mapping[str, Float[np.ndarray, " resample"]],
) -> dict[str, Any]:
    """The paired difference of two rows of metrics, with intervals."""
    metrics = {
        name: None if None in (one[name], other[name]) else one[name] - other[name]
        for name in resampled_one
    }
    resampled = {name: values - resampled_other[name] for name, values in resampled_one.items()}
    return with_intervals(metrics, resampled)
