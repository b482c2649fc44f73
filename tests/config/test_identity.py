from gazejax.config.identity import difference, fingerprint
from tests.tiny import read_config


def test_a_fingerprint_tells_configs_apart_but_not_where_the_data_lie():
    one, other = read_config("osie"), read_config("osie")
    other.data.data_dir = "/elsewhere"
    assert fingerprint(one) == fingerprint(other)
    other.seed = 1
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one, ["seed", "data"]) == fingerprint(other, ["seed", "data"])


def test_difference_ignores_what_is_not_part_of_the_experiment():
    one, other = read_config("synthetic_gaze"), read_config("synthetic_gaze")
    other.eval.num_draws = 7
    other.data.data_dir = "/elsewhere"
    assert difference(one.to_dict(), other.to_dict()) is None
    other.encoder.loss.margin = 1.0
    assert difference(one.to_dict(), other.to_dict()) == (
        "config.encoder.loss.margin was 0.2 and is now 1.0"
    )
