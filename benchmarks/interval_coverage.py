"""How often the 95 % intervals of an evaluation hold the true value, on made-up users.

Users are drawn at random, with what is true of them known. No network is trained:

    python benchmarks/interval_coverage.py --repeats 300

Takes some ten minutes on one core. The result is in docs/concepts/protocols.md.
"""

import argparse

import numpy as np

from gazejax.evaluation.few_shot import protocol as few_shot
from gazejax.evaluation.prediction import protocol as prediction
from gazejax.evaluation.verification import protocol as verification
from gazejax.inputs.viewing_vectors import from_dense
from gazejax.metrics import bootstrap
from gazejax.metrics.verification import negative_distance

NUM_ENTRIES, NUM_RESAMPLES, NUM_TRUTHS = 4, 300, 300
BY_DISTANCE = verification.at_any_size(negative_distance)


def verify(seed, *, num_users, num_folds, spread, num_images=80, size=10):
    """ROC-AUC and rank-1 of stage 1, each with its interval; users differ by `spread`."""
    generator = np.random.default_rng(seed)
    orders = verification.sample_image_orders(num_images, 20, seed)
    folds = []
    for fold in range(num_folds):
        shape = (num_users, num_images, NUM_ENTRIES)
        embeddings = spread * generator.normal(size=(num_users, 1, NUM_ENTRIES))
        embeddings = embeddings + 0.5 * generator.normal(size=(1, *shape[1:]))
        known = verification.UserRepresentations(
            np.arange(num_users) + num_users * fold,
            from_dense(embeddings + 1.5 * generator.normal(size=shape), np.ones(shape[:2], bool)),
            np.ones(shape[:2], bool),
            BY_DISTANCE,
        )
        scores = verification.score_draws(known, orders, size=size, samples_per_user=2, seed=seed)
        folds.append(scores)
    found = verification.verification_metrics(folds)
    weight = resampled_users(folds, num_users * num_folds, seed)
    values = verification.resampled_verification_metrics(
        folds, weight, size=size, num_images=num_images, seed=seed
    )
    names = ("roc_auc", "rank1")
    return {name: (found[name], bootstrap.interval(values[name])) for name in names}


def predict(seed, *, num_users, num_folds, gain, num_images, num_swaps=5, num_draws=2):
    """Own minus swapped and its p-value; the gain of users is normal, around `gain`."""
    generator = np.random.default_rng(seed)
    own, swapped = (prediction.CONDITIONS.index(name) for name in ("own", "swapped"))
    swaps = prediction.derangements(num_users, min(num_swaps, num_users - 1), 0)
    users = np.arange(num_users)
    folds = []
    for fold in range(num_folds):
        # Score of each user and image with the embedding of each user, in each draw.
        shape = (num_users, num_users, num_images)
        scores = generator.normal(size=(num_users, 1, num_images))
        scores = scores + 0.05 * generator.normal(size=(num_draws, num_users, num_users, 1))
        scores = scores.mean(axis=0) + 0.05 * generator.normal(size=shape)
        scores[users, users] += gain * (1 + generator.normal(size=(num_users, 1)))
        of_conditions = np.zeros((swapped + len(swaps), num_users, num_images, 7))
        for place, of in ((own, users), *enumerate(swaps, swapped)):
            of_conditions[place] = scores[users, of][..., None]
        folds.append(prediction.PredictionScores(users + num_users * fold, of_conditions))
    image_weight = bootstrap.resample(
        num_images, num_images, num_resamples=NUM_RESAMPLES, generator=generator
    )
    weight = resampled_users(folds, num_users * num_folds, seed)
    one = np.ones((1, num_users * num_folds), int), np.ones((1, num_images), int)
    difference, values = (
        (of[:, own] - of[:, swapped])[:, 0]
        for of in (
            prediction.mean_over_users(folds, *weights) for weights in (one, (weight, image_weight))
        )
    )
    p_value = prediction.swap_test(folds, num_permutations=NUM_RESAMPLES, seed=seed)["cc"]
    return {
        "own - swapped": (difference[0], bootstrap.interval(values)),
        "p": (p_value < 0.05, None),
    }


def identify(seed, *, size, spread, num_users=5, num_images=70, num_train=100):
    """Rank-1 of few-shot identification by one viewing, and by all of them."""
    generator = np.random.default_rng(seed)
    users = spread * generator.normal(size=(num_users, 1, NUM_ENTRIES))
    training, test = (
        users + 1.5 * generator.normal(size=(num_users, number, NUM_ENTRIES))
        for number in (num_train, num_images)
    )
    enrolled = np.stack(
        [training[:, generator.permutation(num_train)[:size]].mean(axis=1) for _ in range(10)]
    )
    viewed, names = np.ones((num_users, num_images), bool), list(map(str, range(num_users)))
    user_weight, image_weight = (
        bootstrap.resample(number, number, num_resamples=NUM_RESAMPLES, generator=generator)
        for number in (num_users, num_images)
    )
    found = {}
    for title, rank, weight in (
        ("one viewing", few_shot.viewing_ranks, image_weight),
        ("all viewings", few_shot.pooled_ranks, np.ones((NUM_RESAMPLES, 1), int)),
    ):
        ranks = rank(enrolled, test, viewed, BY_DISTANCE, size)
        row = few_shot.summarize(ranks, names, user_weight, weight)
        found[f"rank-1, {title}"] = row["rank1"], row["rank1_interval"]
    return found


def resampled_users(folds, num_users, seed):
    """How often each resample has each user."""
    return bootstrap.resample_users(
        [fold.users for fold in folds],
        num_users=num_users,
        num_resamples=NUM_RESAMPLES,
        generator=np.random.default_rng(seed),
    )


def main(repeats):
    """Prints, for each design and metric, the true value and how often intervals hold it."""
    designs = [
        (verify, {"num_users": number, "num_folds": folds, "spread": spread})
        for number, folds in ((5, 1), (5, 3), (10, 1))
        for spread in (0.0, 0.5)
    ]
    designs += [
        (predict, {"num_users": number, "num_folds": folds, "gain": gain, "num_images": images})
        for number, folds, images in ((5, 1, 70), (10, 1, 29), (5, 3, 140))
        for gain in (0.0, 0.05)
    ]
    designs += [
        (identify, {"size": size, "spread": spread})
        for size in (1, 10)
        for spread in (0.0, 0.3, 0.7)
    ]
    for measure, design in designs:
        found = [measure(seed, **design) for seed in range(repeats)]
        others = found
        if measure is verify:  # Its true value is that of other users.
            others = [measure(seed + 10**6, **design) for seed in range(NUM_TRUTHS)]
        for name in found[0]:
            truth = np.mean([one[name][0] for one in others])
            if name == "own - swapped":
                truth = design["gain"]
            if name == "p":
                print(f"{measure.__name__} {design} p below .05: {truth:.3f}", flush=True)
                continue
            held = np.mean(
                [low <= truth <= high for _, (low, high) in (one[name] for one in found)]
            )
            print(f"{measure.__name__} {design} {name} {truth:.3f}: {held:.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=300)
    main(parser.parse_args().repeats)
