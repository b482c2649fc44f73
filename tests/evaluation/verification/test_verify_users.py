"""Which methods stand in which table of stage 1, on gaze made up for it."""

import numpy as np

from gazejax.evaluation.folds import Fold, Run
from gazejax.evaluation.verification.protocol import UserRepresentations, at_any_size
from gazejax.evaluation.verification.same_person import calibrate_scores
from gazejax.evaluation.verification.sessions import RecordingRepresentations
from gazejax.evaluation.verification.verify_users import verify_users
from gazejax.inference.same_person import read_curves
from gazejax.inputs.viewing_vectors import from_dense
from gazejax.metrics import verification
from tests.tiny import read_config


def represented(viewed, *, first=0, sessions=0):
    """Noise of each viewing, of users or of `sessions` recordings of each."""
    number = len(viewed) // max(sessions, 1)
    known = {
        "users": np.arange(number) + first,
        "representations": from_dense(
            np.random.default_rng(0).normal(size=(*viewed.shape, 4)), viewed
        ),
        "viewed": viewed,
        "similarity": at_any_size(verification.negative_distance),
    }
    if not sessions:
        return UserRepresentations(**known)
    user = np.repeat(np.arange(number), sessions)
    return RecordingRepresentations(
        user=user, session=np.tile(np.arange(sessions), number), **known
    )


def made_run(group, tiny_dataset, compared, recorded=None, sizes=(2, 4)):
    config = read_config("synthetic_gaze")
    config.eval.update(num_images=sizes, num_draws=20, num_resamples=20)
    config.encoder.comparison.kind = "distance"
    num_images = compared[group]["encoder"].viewed.shape[1]
    splits = type("Splits", (), {"test_images": np.arange(num_images)})
    fold = Fold(None, config, splits, {}, None, None, compared, recorded or {}, None)
    dataset = tiny_dataset._replace(user_ids=tuple(map(str, range(20))))
    return Run(None, config, dataset, [fold])


def tables_of(group, *of_run):
    return verify_users(group, made_run(group, *of_run))[0]


def test_a_control_that_one_group_lacks_stands_in_the_table_of_the_other(tiny_dataset):
    seen, unseen = represented(np.ones((5, 12), bool)), represented(np.ones((3, 9), bool), first=5)
    compared = {
        "seen": {"encoder": seen, "permuted_labels": seen._replace(permuted=True)},
        "unseen": {"encoder": unseen},
    }
    for group, methods in (("seen", ["encoder", "permuted_labels"]), ("unseen", ["encoder"])):
        table = tables_of(group, tiny_dataset, compared)["encoder"]
        assert list(table) == [*methods, "chance"]
        assert {tuple(rows) for rows in table.values()} == {("2", "4")}


def test_a_control_that_sessions_lack_is_left_out(tiny_dataset):
    users = represented(np.ones((4, 12), bool))
    compared = {"unseen": {"encoder": users, "permuted_labels": users._replace(permuted=True)}}
    recorded = {"unseen": {"encoder": represented(np.ones((8, 12), bool), sessions=2)}}
    tables = tables_of("unseen", tiny_dataset, compared, recorded)
    for table in ("encoder", "encoder_across_sessions"):
        assert list(tables[table]) == ["encoder", "chance"]


def test_a_control_of_other_users_than_those_of_the_encoder_is_left_out(tiny_dataset, capsys):
    # 12 users with one image in each session, of three in turn, and two users with all images.
    viewed = np.zeros((28, 12), bool)
    for row in range(12):
        viewed[2 * row, row % 3] = viewed[2 * row + 1, (row + 1) % 3] = True
    viewed[24:] = True
    shorter = viewed & (np.arange(28) >= 24)[:, None]
    methods = {
        name: represented(one, sessions=2)
        for name, one in (("encoder", viewed), ("encoder_truncated", shorter))
    }
    tables = tables_of("unseen", tiny_dataset, {"unseen": methods}, {"unseen": methods})
    assert "encoder_across_sessions" not in tables
    methods["encoder"] = represented(np.ones((28, 12), bool), sessions=2)
    tables = tables_of("unseen", tiny_dataset, {"unseen": methods}, {"unseen": methods})
    printed = capsys.readouterr().err
    for table in ("encoder", "encoder_across_sessions"):
        assert list(tables[table]) == ["encoder", "chance"]
        assert f"encoder_truncated left out of table {table} of unseen users" in printed


def test_no_curve_across_sessions_is_written_without_one_within(tiny_dataset):
    # All users have two sessions with other images each; three have a third one with all images.
    viewed = np.zeros((18, 40), bool)
    viewed[0::3, :20] = viewed[1::3, 20:] = viewed[2:9:3] = True
    methods = {"unseen": {"encoder": represented(viewed, sessions=3)}}
    joined = {"unseen": {"encoder": represented(np.ones((6, 40), bool))}}
    for sizes, names in (((5, 20), {"within", "across"}), ((20,), set())):
        run = made_run("unseen", tiny_dataset, joined, methods, sizes)
        tables = verify_users("unseen", run)[0]
        assert tables["encoder"]["encoder"]["20"]["num_users"] == 3
        assert tables["encoder_across_sessions"]["encoder"]["20"]["num_users"] == 6
        found = calibrate_scores(run)
        assert found.keys() == read_curves(found).keys() == names
