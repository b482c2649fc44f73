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
    assert "| unseen: **encoder** | ROC-AUC | 0.750 | 0.750 (7 users) |  |" in head
    assert "| unseen: **encoder**, across sessions | ROC-AUC | 0.625 |  | 0.625 |" in head
    assert "Users (7 to 9 unseen; 4 unseen, across sessions) compared" in headline(text)
    assert "Intervals over 4 users are too narrow" in head[0]
    assert "### Verification: 7 to 9 unseen users, 30 images, 20 draws; 4 users across" in text


def test_what_users_across_sessions_do_not_show_is_said():
    unseen = rows(0.625, {"5": 9, "10": 9})
    truncated = rows(0.75, {"5": 7})
    seen = rows(0.875, {"5": 18})
    within, across = {"encoder": seen}, {"encoder": seen}
    unseen["10"]["roc_auc_interval"] = [0.25, 0.875]
    of_unseen = {"encoder": unseen, "encoder_truncated": truncated}
    result = {"compared": COMPARED | {"common_fixations": 6}}
    result["encoder"] = {"seen": within, "unseen": {**of_unseen, "encoder": rows(0.75, {"5": 9})}}
    result["encoder_across_sessions"] = {"seen": across, "unseen": of_unseen}
    for key in ("encoder", "encoder_across_sessions"):
        result[f"{key}_differences"] = {"seen": {}, "unseen": {}}
    text = format_evaluation(result)
    assert "learned from all sessions of the seen users, so that only unseen users show" in text
    assert "unseen users are not shown to be recognized better than by chance" in text
    assert "seen users are not shown" not in text.replace("unseen users are not shown", "")
    truncated_row = "encoder, scanpaths truncated to 6 fixations, across sessions"
    assert f"| unseen: {truncated_row} | ROC-AUC | 0.750 (7 users) |  |" in text
    assert f"| {truncated_row} | 5 | 7 | 0.750 |" in text


def test_a_report_without_rows_across_sessions_says_so():
    result = {"compared": COMPARED, "encoder": {"unseen": {"encoder": rows(0.75, {"5": 9})}}}
    result["encoder_differences"] = {"unseen": {}}
    assert "Too few users have two sessions with images enough: no row" in format_evaluation(result)
