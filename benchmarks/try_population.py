"""The crowd of OSIE's mouse tracks, as the page of `gazejax try` would measure it.

    gazejax data build osie/mouse_amt --raw DIR --data-dir DATA
    python benchmarks/try_population.py --data-dir DATA --out gazejax/tryout/osie_mouse.json

The computers of the crowd stored 26 to 215 places of a picture, and the embedding knows how many.
The page stores 125 of everybody. Each track is therefore read at 125 places, spaced evenly over its
samples, before anything is measured. Written are means, covariances, quantiles and curves of 653
people; nothing of a single one. Traits and curves are of the people whom the training left out,
distributions of all. Printed is what holds for people who were not behind the numbers.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from gazejax.api.loading import load_with_parts
from gazejax.api.model import PersonalGaze
from gazejax.data.reader import open_source, read_record
from gazejax.evaluation.traits import describe_places
from gazejax.inference.same_person import fit_curve
from gazejax.inference.two_covariance import log_likelihood_ratios
from tfds_builders.common import pictures

NUM_PLACES, NUM_PARTS, PICTURES_OF_PART = 125, 4, 4
LEVELS = (*np.round(np.arange(0.05, 0.96, 0.05), 2), 0.975, 0.99)
TRAITS = (
    "center_share", "saccade_length", "spread",
    "fixated_brightness", "fixated_contrast", "fixated_color",
)  # fmt: skip


def read_tracks(records: list[Any]) -> dict[int, dict[int, np.ndarray]]:
    """The first track of each person on each picture, at `NUM_PLACES` places."""
    found: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    for number, record in enumerate(records):
        gaze = record["gaze"]
        first = gaze["trial"] == 0
        for user in np.unique(gaze["user"][first]):
            xy = gaze["xy_px"][first & (gaze["user"] == user)]
            places = np.round(np.linspace(0, len(xy) - 1, NUM_PLACES)).astype(int)
            found[int(user)][number] = xy[places]
    return found


def embed_parts(model: Any, records: list[Any], tracks: Any, chosen: Any) -> np.ndarray:
    """Embeddings of each part of the chosen pictures of each person: [person, part, embedding]."""
    of_picture = defaultdict(list)
    for user, numbers in chosen.items():
        for place, number in enumerate(numbers):
            of_picture[int(number)].append((user, place // PICTURES_OF_PART))

    def stream():
        for number, wanted in of_picture.items():
            gaze = {
                f"{user}/{part}": PersonalGaze(
                    tracks[user][number], np.zeros(NUM_PLACES, np.int64), None
                )
                for user, part in wanted
            }
            yield pictures.decode(records[number]["image"]), gaze

    found = model.embed_people(stream())
    rows = [[found[f"{user}/{part}"].vector for part in range(NUM_PARTS)] for user in chosen]
    return np.array(rows, np.float64)


def measure_traits(records: list[Any], tracks: Any, chosen: Any) -> np.ndarray:
    """Traits of each person on the pictures that were not chosen: [person, trait]."""
    rows: dict[int, list[np.ndarray]] = defaultdict(list)
    for number, record in enumerate(records):
        image = pictures.decode(record["image"])
        height, width = image.shape[:2]
        places = describe_places(image)
        measured = {}
        for user in chosen:
            if number not in tracks[user]:
                continue
            xy = tracks[user][number][::8]
            x, y = np.clip(xy, 0, (width - 1, height - 1)).astype(int).T
            distance = np.linalg.norm(xy - (width / 2, height / 2), axis=1) / width
            measured[user] = np.array([
                (distance <= 0.15).mean(),
                np.linalg.norm(np.diff(xy, axis=0), axis=1).mean() / width,
                np.sqrt(((xy - xy.mean(axis=0)) ** 2).sum(axis=1).mean()) / width,
                *places[y, x].mean(axis=0),
            ])  # fmt: skip
        total = sum(measured.values())
        for user, values in measured.items():
            if number not in chosen[user]:
                others = (total - values) / (len(measured) - 1)
                rows[user].append(np.r_[values[:3], (values - others)[3:]])
    return np.array([np.mean(rows[user], axis=0) for user in chosen])


def describe_plane(parts: np.ndarray) -> dict[str, Any]:
    """Mean, two directions and the noise of a picture, from halves of the pictures of people."""
    one, other = parts[:, :2].mean(axis=1), parts[:, 2:].mean(axis=1)
    mean = (one + other).mean(axis=0) / 2
    shared = (one - mean).T @ (other - mean) / (len(parts) - 1)
    values, vectors = np.linalg.eigh((shared + shared.T) / 2)
    directions = vectors[:, :-3:-1] / np.sqrt(values[:-3:-1])
    noise = np.cov(((one - other) @ directions).T) / 2 * 2 * PICTURES_OF_PART
    at = (parts.mean(axis=1) - mean) @ directions
    gain = np.linalg.inv(np.eye(2) + noise / (NUM_PARTS * PICTURES_OF_PART))
    best = at @ gain.T
    spread = np.linalg.inv(np.linalg.cholesky(np.cov(best.T)))
    radii = np.quantile(np.linalg.norm(best @ spread.T, axis=1), LEVELS)
    share = values[-2:].sum() / values[values > 0].sum()
    return {
        "mean": mean, "directions": directions, "noise": noise, "radii": radii, "share": share,
    }  # fmt: skip


def held_out(parts: np.ndarray, plane: dict[str, Any]) -> dict[str, float]:
    """Shares of people inside the contours, by half of their pictures; of the others predicted."""
    one, other = (
        (parts[:, part : part + 2].mean(axis=1) - plane["mean"]) @ plane["directions"]
        for part in (0, 2)
    )
    noise = plane["noise"] / (2 * PICTURES_OF_PART)
    gain = np.linalg.inv(np.eye(2) + noise)
    spread = np.linalg.inv(np.linalg.cholesky(np.eye(2) - (np.eye(2) - gain)))
    radius = np.linalg.norm(one @ gain.T @ spread.T, axis=1)
    error = other - one @ gain.T
    predicted = np.einsum("pi,ij,pj->p", error, np.linalg.inv(np.eye(2) - gain + noise), error)
    found = {}
    for level in (0.5, 0.8, 0.95):
        limit = np.interp(level, LEVELS, plane["radii"])
        found[f"inside contour {level}"] = float((radius <= limit).mean())
        ellipse = stats.chi2.ppf(level, 2)
        found[f"second half in ellipse {level}"] = float((predicted <= ellipse).mean())
    return found


def held_out_probabilities(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of pairs of one person, and of two, by curves of the other half of the rows."""
    is_same = np.eye(len(scores), dtype=bool)
    probability = np.empty_like(scores)
    halves = slice(0, None, 2), slice(1, None, 2)
    for fitted, held in (halves, halves[::-1]):
        slope, intercept = fit_curve(
            scores[fitted].ravel(), np.ones(scores[fitted].size), is_same[fitted].ravel()
        )
        probability[held] = 1 / (1 + np.exp(-(slope * scores[held] + intercept)))
    return probability[is_same], probability[~is_same]


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    source = open_source("osie/mouse_amt", arguments.data_dir)
    records = sorted(
        (read_record(source, number) for number in range(len(source.records))),
        key=lambda record: record["image_id"],
    )
    tracks = read_tracks(records)
    model, trained = load_with_parts("osie_mouse")
    generator = np.random.default_rng(0)
    size = NUM_PARTS * PICTURES_OF_PART
    chosen = {
        user: generator.permutation(list(seen))[:size]
        for user, seen in tracks.items()
        if len(seen) >= size + 2
    }
    # The training took people with 20 pictures of each half: of fewer than 40, there are none.
    is_unseen = np.array([len(tracks[user]) < 40 for user in chosen])
    parts = embed_parts(model, records, tracks, chosen)
    truth = measure_traits(records, tracks, chosen)
    print(f"{len(chosen)} people, {is_unseen.sum()} of them not in the training")

    plane = describe_plane(parts)
    odd = np.arange(len(parts)) % 2 == 1
    print("other people:", held_out(parts[odd], describe_plane(parts[~odd])))

    score = log_likelihood_ratios(trained.comparison)
    curves, traits = {}, {name: {} for name in TRAITS}
    unseen = parts[is_unseen]
    for number in (1, 2):
        count = number * PICTURES_OF_PART
        one, other = unseen[:, :number].mean(axis=1), unseen[:, 2 : 2 + number].mean(axis=1)
        scores = score(one, other, count, count)
        is_same = np.eye(len(scores), dtype=bool)
        same, different = held_out_probabilities(scores)
        rank = stats.rankdata(np.r_[scores[is_same], scores[~is_same]])[: len(scores)]
        auc = (rank.mean() - (len(scores) + 1) / 2) / (~is_same).sum()
        first = (scores.argmax(axis=1) == np.arange(len(scores))).mean()
        print(
            f"{count} pictures each: ROC-AUC {auc:.3f}; above .5 of one person "
            f"{(same > 0.5).mean():.3f}, of two {(different > 0.5).mean():.3f}; first of all "
            f"{first:.3f} of {len(scores)}"
        )
        slope, intercept = fit_curve(scores.ravel(), np.ones(scores.size), is_same.ravel())
        curves[str(count)] = {"slope": slope, "intercept": intercept, "roc_auc": float(auc)}
    for number in (1, 2, 4):
        embeddings = unseen[:, :number].mean(axis=1)
        for column, name in enumerate(TRAITS):
            probe, true = trained.probes[name], truth[:, column]
            predicted = probe.intercept + embeddings @ probe.weights
            slope, intercept, r, *_ = stats.linregress(predicted, true[is_unseen])
            left = true[is_unseen] - intercept - slope * predicted
            residual = float(left.std(ddof=2))
            inside = float((np.abs(left) <= 1.2816 * residual).mean())
            print(
                f"{name}, {number * PICTURES_OF_PART} pictures: r {r:+.2f}, in 80 %: {inside:.2f}"
            )
            traits[name] |= {"mean": float(true.mean()), "standard_deviation": float(true.std())}
            traits[name][str(number * PICTURES_OF_PART)] = {
                "slope": slope, "intercept": intercept, "residual": residual, "correlation": r,
            }  # fmt: skip
    at = (parts.mean(axis=1) - plane["mean"]) @ plane["directions"]
    loadings = {
        name: [float(np.corrcoef(at[:, axis], truth[:, column])[0, 1]) for axis in (0, 1)]
        for column, name in enumerate(TRAITS)
    }
    print("directions:", plane["share"], loadings)
    arguments.out.write_text(
        json.dumps(
            {
                "encoder_digest": model.encoder_digest,
                "num_people": len(chosen),
                "num_unseen": int(is_unseen.sum()),
                "mean": plane["mean"].round(6).tolist(),
                "directions": plane["directions"].round(6).tolist(),
                "noise": plane["noise"].round(4).tolist(),
                "levels": list(map(float, LEVELS)),
                "radii": plane["radii"].round(4).tolist(),
                "share": round(float(plane["share"]), 4),
                "loadings": loadings,
                "traits": traits,
                "curves": curves,
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
