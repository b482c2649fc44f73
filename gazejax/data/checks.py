"""Whether the data can fill a batch and be compared, and what to warn about."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int
from ml_collections import ConfigDict

from gazejax.config.derived import stages_to_train
from gazejax.data.joining import numbers_of
from gazejax.data.splits import Splits, users_left_out
from gazejax.metrics import bootstrap
from gazejax.runtime import distributed
from gazejax.types import Dataset


def check_batches_fit(config: ConfigDict, dataset: Dataset, splits: Splits) -> None:
    """Refuses a data set that cannot fill a batch of the stages that the config asks for.

    Raises:
        ValueError: naming the key, what it needs and what the data has.
    """
    encoder, saliency = config.encoder.batch, config.saliency.batch
    lengths = np.asarray(dataset.gaze.viewing_length)
    viewed = lengths[np.ix_(splits.seen_users, splits.train_images)] > 0
    num_users, num_images = viewed.shape
    needs = {
        "encoder": [
            ("encoder.batch.num_users", encoder.num_users, "seen users", num_users),
            (
                "encoder.batch.images_per_user",
                encoder.images_per_user,
                "training images of every seen user",
                viewed.sum(axis=1).min(),
            ),
        ],
        "saliency": [
            (
                "saliency.batch.users_per_image",
                saliency.users_per_image,
                "seen users",
                num_users,
            ),
            (
                "saliency.batch.num_images",
                saliency.num_images,
                f"training images seen by {saliency.users_per_image} users",
                len(target_images(viewed, saliency.users_per_image)),
            ),
            (
                "saliency.batch.enrolment_images",
                saliency.enrolment_images[1] + 1,
                "training images (one of them is the target)",
                num_images,
            ),
        ],
        "universal": [
            (
                "universal.num_images",
                config.universal.num_images,
                "viewed training images",
                viewed.any(axis=0).sum(),
            )
        ],
    }
    recordings = dataset.recordings
    if recordings is not None and encoder.split_sessions:
        lengths = np.asarray(recordings.gaze.viewing_length)[:, splits.train_images]
        num_viewed = (lengths > 0).sum(axis=1)
        fewest = min(num_viewed[recordings.user == user].max() for user in splits.seen_users)
        what = "training images in one session of every seen user"
        key = "encoder.loss.pairs_per_mean"
        needs["encoder"].append((key, config.encoder.loss.pairs_per_mean, what, fewest))
    of_user, of_image = numbers_of(dataset)
    if dataset.dataset_of_user is not None:
        every = range(of_user.max() + 1)
        if encoder.users_of == "one_dataset":
            fewest = min((of_user[splits.seen_users] == number).sum() for number in every)
            what = "seen users of every data set"
            needs["encoder"].append(("encoder.batch.num_users", encoder.num_users, what, fewest))
        viewers, of_training = viewed.sum(axis=0), of_image[splits.train_images]
        most = min(viewers[of_training == number].max() for number in every)
        what = "seen users of one training image in every data set"
        key = "saliency.batch.users_per_image"
        needs["saliency"].append((key, saliency.users_per_image, what, most))
        what = "viewed training image in every data set"
        needs["universal"].append(("universal.num_images", 1, what, min(most, 1)))
    needs["permuted_encoder"] = needs["encoder"]
    for stage in stages_to_train(config):
        for key, needed, what, available in needs[stage]:
            if needed > available:
                raise ValueError(f"config.{key} needs {needed} {what}; the data has {available}")


def target_images(
    viewed: Bool[np.ndarray, "user image"], users_per_image: int
) -> Int[np.ndarray, " target"]:
    """Images of the pool that stage 2 predicts; images that too few users saw can only enrol."""
    return np.flatnonzero(viewed.sum(axis=0) >= users_per_image)


def warn_excluded_users(config: ConfigDict, splits: Splits, dataset: Dataset) -> None:
    """Says which users take no part, and by which rules of the split."""
    left_out = users_left_out(splits, dataset)
    if left_out:
        names = ", ".join(left_out[:10]) + (", ..." if len(left_out) > 10 else "")
        distributed.log(
            f"{len(left_out)} of {len(dataset.user_ids)} users take no part, by config.split "
            f"(purpose {config.split.purpose!r}, min_images {config.split.min_images}, "
            f"max_seen_users {config.split.max_seen_users}): {names}"
        )


def warn_missing_universal_maps(splits: Splits, dataset: Dataset) -> None:
    """Says for how many viewings the universal map of the group is empty: it costs accuracy."""
    viewed = np.asarray(dataset.gaze.viewing_length) > 0
    viewers = viewed[splits.seen_users].sum(axis=0)
    alone = total = 0
    for users, images, among_viewers in (
        (splits.seen_users, np.union1d(splits.train_images, splits.test_images), 1),
        (splits.unseen_users, splits.test_images, 0),
    ):
        of_users = viewed[np.ix_(users, images)]
        alone += int((of_users & (viewers[images] == among_viewers)).sum())
        total += int(of_users.sum())
    if alone:
        distributed.log(
            f"no other seen user looked at the image of {alone} of {total} viewings: with "
            "config.data.universal_map 'seen_users' their universal map is empty, with 'predicted' "
            "it is not"
        )


def check_enough_to_compare(splits: Splits, dataset: Dataset) -> None:
    """Refuses, before anything is trained, a data set on which nothing could be evaluated.

    Raises:
        ValueError: with fewer than two seen or unseen users, or a user who saw fewer than two test
            images, one to enrol and one to compare with.
    """
    for name in ("seen_users", "unseen_users"):
        number = len(getattr(splits, name))
        if number < 2:
            raise ValueError(
                f"the split gives {number} {name} of {dataset.name}; allowed: at least 2 to "
                "compare, so add users: split.folds of 3 needs five"
            )
    users = np.union1d(splits.seen_users, splits.unseen_users)
    lengths = np.asarray(dataset.gaze.viewing_length)[np.ix_(users, splits.test_images)]
    num_images = (lengths > 0).sum(axis=1)
    fewest = int(np.argmin(num_images))
    if num_images[fewest] < 2:
        raise ValueError(
            f"user {dataset.user_ids[users[fewest]]!r} saw {num_images[fewest]} of the "
            f"{len(splits.test_images)} test images; allowed: at least 2, one to enrol and one to "
            "compare with (config.split.min_images leaves such users out)"
        )


def check_folds_are_large(
    unseen_users: Sequence[Int[np.ndarray, " user"]], *, num_users: int
) -> None:
    """Refuses, before anything is trained, folds so small that no interval could be computed.

    Args:
        unseen_users: positions of the unseen users of each fold.
        num_users: number of users of the data set.

    Raises:
        ValueError: naming the number of folds and of users.
    """
    generator = np.random.default_rng(0)
    try:
        bootstrap.resample_users(
            unseen_users, num_users=num_users, num_resamples=1000, generator=generator
        )
    except ValueError as error:
        raise ValueError(
            f"config.split.folds is {len(unseen_users)}, which gives folds of "
            f"{min(map(len, unseen_users))} unseen users, too few for intervals over users; "
            "allowed: fewer folds, of at least 3 users each"
        ) from error
