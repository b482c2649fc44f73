"""What the headline says of tables that differ in their users and numbers of images."""

from gazejax.evaluation.report import STAGE_1_METRICS, format_evaluation, headline

COMPARED = {
    "data": "mine",
    "purpose": "test",
    "evaluated_folds": [0],
    "folds": 3,
    "test_images": 30,
    "encoder_draws": 20,
    "saliency_draws": 2,
    "training_seed": 0,
    "commit": "abc",
    "date": "2026-11-29",
    "resamples": 100,
    "sessions": "sessions",
}


def rows(value, num_users_of):
    counts = {"num_images": 30, "num_draws": 20}
    return {
        n: {"num_users": number, **counts, **dict.fromkeys(STAGE_1_METRICS, value)}
        for n, number in num_users_of.items()
    }


def test_the_headline_has_every_n_and_says_of_how_many_users():
    # Sessions of 12 images: six for gallery and probe each within, twelve across.
    within = {"encoder": rows(0.75, {"5": 9, "6": 7})}
    across = {"encoder": rows(0.625, {"5": 4, "10": 4})}
    result = {"compared": COMPARED}
    for key, table in (("encoder", within), ("encoder_across_sessions", across)):
        result |= {key: {"unseen": table}, f"{key}_differences": {"unseen": {}}}
    text = format_evaluation(result)
    head = headline(text).splitlines()
    assert "| users: method | metric | n = 5 | n = 6 | n = 10 |" in head
    assert "| unseen: **encoder** | ROC-AUC | 0.750 | 0.750 |  |" in head
    assert "| unseen: **encoder**, across sessions | ROC-AUC | 0.625 |  | 0.625 |" in head
    assert "Users (7 to 9 unseen; 4 unseen, across sessions) compared" in headline(text)
    assert "Intervals over 4 users are too narrow" in head[0]
    assert "### Verification: 7 to 9 unseen users, 30 images, 20 draws; 4 users across" in text
