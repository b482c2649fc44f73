"""The tables of stage 2: which sessions users enrol in, and with how many images."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gazejax.evaluation.folds import Run
from gazejax.evaluation.prediction import sessions
from gazejax.evaluation.session_texts import ACROSS
from gazejax.evaluation.verification.protocol import sample_image_orders
from gazejax.evaluation.verification.sessions import RecordingRepresentations, joined_recordings
from gazejax.evaluation.verification.verify_users import compares_sessions

# Recordings of users, and of the seen users, whose mean embedding they are given.
Groups = tuple[RecordingRepresentations, RecordingRepresentations]


class PredictionVariant(NamedTuple):
    """A table of stage 2.

    Attributes:
        name: its key.
        sizes: numbers of enrolment images.
        across: None: sessions are not kept apart. Else whether users enrol in another session than
            the predicted one.
    """

    name: str
    sizes: list[int]
    across: bool | None


def prediction_variants(run: Run) -> list[PredictionVariant]:
    """All viewings together, or within a session and across sessions where sessions are known.

    No table where too few users can enrol: none of the numbers of enrolment images is usable. Known
    sessions are then not joined: users who were recorded in other sessions differ by them.
    """
    options, num_images = run.config.eval, len(run.folds[0].splits.test_images)
    orders = sample_image_orders(num_images, options.num_draws, options.seed)

    def sizes_of(groups: Sequence[Groups], *, across: bool) -> list[int]:
        usable = {
            sessions.usable_size(
                groups,
                orders[: options.saliency_num_draws],
                size,
                across=across,
                seed=options.seed,
            )
            for size in options.saliency_num_images
        }
        return sorted(usable - {0})

    if compares_sessions(run):
        recorded = _groups(fold.recorded for fold in run.folds)
        sizes = {across: sizes_of(recorded, across=across) for across in (False, True)}
        return [
            PredictionVariant("saliency" + (ACROSS if across else ""), of_table, across)
            for across, of_table in sizes.items()
            if of_table and sizes[False]
        ]
    joined = _groups(
        {
            group: {"encoder": joined_recordings(known["encoder"])}
            for group, known in fold.compared.items()
        }
        for fold in run.folds
    )
    sizes_of_joined = sizes_of(joined, across=False)
    return [PredictionVariant("saliency", sizes_of_joined, None)] if sizes_of_joined else []


def _groups(
    recorded: Iterable[Mapping[str, Mapping[str, RecordingRepresentations]]],
) -> list[Groups]:
    return [
        (known["encoder"], of_fold["seen"]["encoder"])
        for of_fold in recorded
        for known in of_fold.values()
    ]
