"""Noise ceiling of personal maps, estimated from repeated viewings of an image by one user.

    gazejax data build personalized_saliency/fixations_only --raw DIR
    python benchmarks/noise_ceiling.py --data-dir DIR

PS users viewed an image up to four times. One viewing is the target. The predictors are the
universal map of other users, the user's other viewings, and the mixture of both with the best
weight. A model without gaze of this user on this image cannot know more about the user than
infinitely many other viewings show. The gain is shown for one, two and three other viewings, from
which the limit can be estimated.
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from scipy.ndimage import gaussian_filter

from gazejax.data.reader import prepared_folder
from gazejax.metrics.verification import correlation

GRID_HEIGHT, GRID_WIDTH = 27, 48  # Of the 1920 x 1080 screen.
SIGMA_FRAC = 0.03 * 1440 / 1920  # 3 % of an image of 4:3 on that screen, as in the evaluation.
WEIGHTS = np.linspace(0.0, 1.0, 21)


def map_of(xy_px: np.ndarray) -> np.ndarray:
    """Returns the smoothed density of fixations on the screen, flat; it sums to 1."""
    cell_px = 1920 / GRID_WIDTH
    column, row = (xy_px / cell_px).astype(int).T
    counts = np.zeros((GRID_HEIGHT, GRID_WIDTH))
    np.add.at(counts, (np.minimum(row, GRID_HEIGHT - 1), np.minimum(column, GRID_WIDTH - 1)), 1)
    smooth = gaussian_filter(counts, SIGMA_FRAC * GRID_WIDTH, mode="constant")
    return smooth.ravel() / smooth.sum()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200, help="number of images, sampled by seed")
    parser.add_argument("--others", type=int, default=9, help="users of the universal map")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    folder = prepared_folder("personalized_saliency/fixations_only", arguments.data_dir)
    source = tfds.builder_from_directory(folder).as_data_source(
        split="train", decoders={"image": tfds.decode.SkipDecoding()}
    )
    found: dict[str, list[np.ndarray]] = {}
    for index in generator.permutation(len(source))[: arguments.images]:
        gaze = source[int(index)]["gaze"]
        viewings: dict[int, list[np.ndarray]] = {}
        for user in np.unique(gaze["user"]):
            is_own = gaze["user"] == user
            viewings[int(user)] = [
                map_of(gaze["xy_px"][is_own & (gaze["trial"] == trial)])
                for trial in np.unique(gaze["trial"][is_own])
            ]
        complete = [user for user, maps in viewings.items() if len(maps) >= 4]
        for user in complete:
            others = generator.permutation([other for other in viewings if other != user])
            # The first viewing of each user, as in a data set with one viewing per user and image.
            maps = [viewings[other][0] for other in others[: arguments.others]]
            universal = np.mean(maps, axis=0)
            target, *own = viewings[user][:4]
            found.setdefault("universal", []).append(correlation(universal[None], target[None])[0])
            for number in (1, 2, 3):
                own_mean = np.mean(own[:number], axis=0)
                mixed = WEIGHTS[:, None] * own_mean + (1 - WEIGHTS[:, None]) * universal
                found.setdefault(f"own {number}", []).append(correlation(mixed, target[None])[:, 0])
    universal = np.mean(found["universal"])
    number = len(found["universal"])
    print(f"{number} first viewings, {arguments.images} images, seed {arguments.seed}")
    print(f"universal map of {arguments.others} other users: CC {universal:.3f}")
    for number in (1, 2, 3):
        by_weight = np.mean(found[f"own {number}"], axis=0)
        best = int(by_weight.argmax())
        print(
            f"with {number} own viewings of the same image: CC {by_weight[best]:.3f} "
            f"({by_weight[best] - universal:+.3f}) at a weight of {WEIGHTS[best]:.2f}"
        )


if __name__ == "__main__":
    main()
