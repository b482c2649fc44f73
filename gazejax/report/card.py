"""The model card of an exported model: what it was trained on, how well it does, what not to do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gazejax.config.derived import duration_use
from gazejax.evaluation.formats import format_value, markdown_table
from gazejax.evaluation.session_texts import ACROSS
from gazejax.evaluation.traits import format_traits
from gazejax.evaluation.verification.same_person import format_calibration
from gazejax.workdir.trained import Trained

MUST_NOT = """\
- To identify or to follow people who have not agreed to it. Gaze is personal data, and an embedding
  can recognize a person.
- To judge people: health, ability, honesty, or fitness for a job or a loan. None of this was
  measured.
- To decide anything about a person. Metrics are means over users, with wide intervals."""

_CARD = """\
---
library_name: gazejax
tags:
- gaze{saliency_tag}
---

# {name}

{what}

{about}

## Use

```python
import gazejax

model = gazejax.load("{name}")  # Or the path of this folder.
embedding = model.embed({arguments}){predict}
```

Images are uint8 [height, width, 3], of any size. Fixations are [n, 2], x then y in pixels of the
image from its top left corner, in the order of looking.{durations}

## What the model must not be used for

{must_not}

## Training

Data `{data}`: {seen_users} users, {train_images} images. Seed {training_seed}, commit {commit},
{date}. {personal}

## Metrics

The users and the images of the metrics were not in the training. Users enrol with n images, and are
compared with n other images. ROC-AUC: 0.5 is chance. Rank-1: share of probes whose most similar
user is the right one. IG: information gain of the map of the own embedding minus that of the
embedding of another user, in bits per fixation. Brackets: 95 % bootstrap intervals.

{table}

Where sessions are not known, enrolment and probe can be of one session: the metrics are an upper
bound for what the embedding knows about the person.
{comparison}{traits}
Encoder {encoder_digest}.
"""
_ENCODER = """\
A model of gazejax: an encoder of a user from gaze. No network that predicts where a user looks was
trained."""
_ENCODER_AND_SALIENCY = """\
A model of gazejax: an encoder of a user from gaze, and a network that predicts where this user
looks in an image."""
_DURATIONS = " Durations are in milliseconds{optional}."
_HEADER = ["data", "users", "sessions", "n", "ROC-AUC", "rank-1", "IG, own - swapped"]


def make_card(
    name: str,
    trained: Trained,
    evaluation: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Any]],
    about: str,
) -> str:
    """Makes the text of a model card.

    Args:
        name: of the model.
        trained: the model.
        evaluation: content of `evaluation.json` of the run.
        others: likewise of each `evaluation_<name>.json`: users of other data sets, by its name.
        about: what the exporter says of the data and their licence, Markdown.

    Returns:
        Markdown.
    """
    compared = evaluation["compared"]
    rows = _rows(compared["data"], evaluation)
    for data, other in others.items():
        rows += _rows(data, other)
    encoder = trained.config.encoder
    use = duration_use(
        encoder.model.inputs,
        without_durations=encoder.batch.virtual_sessions.without_durations,
    )
    optional = "" if use.is_needed else "; without them, the embedding knows less of the user"
    predicts = trained.saliency is not None
    return _CARD.format(
        name=name,
        must_not=MUST_NOT,
        what=_ENCODER_AND_SALIENCY if predicts else _ENCODER,
        saliency_tag="\n- saliency" * predicts,
        predict="\nsaliency = model.predict(image, embedding)" * predicts,
        about=about.strip(),
        arguments="images, fixations" + ", durations_ms=durations_ms" * use.is_read,
        durations=_DURATIONS.format(optional=optional) if use.is_read else "",
        personal=_personal(trained),
        table=markdown_table(_HEADER, rows),
        comparison=_comparison(evaluation.get("same_person", {})),
        traits=format_traits(evaluation.get("traits", {})),
        encoder_digest=trained.encoder_digest,
        **{
            key: compared[key]
            for key in ("data", "seen_users", "train_images", "training_seed", "commit", "date")
        },
    )


def replace_use(card: str, use: str, path: Path) -> str:
    """Replaces the section "Use" of a model card.

    Args:
        card: text of the card.
        use: text of the new section, without its title.
        path: of the card, for the error.

    Raises:
        ValueError: if the card has no such section.
    """
    before, title, rest = card.partition("\n## Use\n")
    if not title:
        raise ValueError(f"{path} has no section 'Use'; allowed: the model card as exported")
    _, following, after = rest.partition("\n## ")
    return f"{before}{title}\n{use.strip()}\n{following}{after}"


def _personal(trained: Trained) -> str:
    if trained.saliency is not None and "memory" in trained.saliency:
        return (
            f"The parameters hold what was learnt of each of the {trained.num_seen_users} users of "
            "the training."
        )
    return "No parameter is of a single user, and no embedding or name of a user is stored."


def _comparison(calibration: Mapping[str, Any]) -> str:
    """How well probabilities of `compare` hold, and for which n."""
    text = format_calibration(calibration)
    if not text:
        return "\nThe model is not calibrated, and neither compares nor identifies people.\n"
    return (
        f"{text}\n`within`: of one session, or of recordings that may be of one; `across`: of two "
        "sessions.\n`compare` and `identify` take a probability from the curves of the two n "
        "beside the one at hand; beyond\nthe least and the most n of the table, from the nearest "
        "curve.\n"
    )


def _rows(data: str, evaluation: Mapping[str, Any]) -> list[list[str]]:
    """Rows of the table of metrics: of unseen users, within a session and across."""
    rows = []
    sessions = evaluation["compared"].get("sessions")
    within = {"sessions": "one session", "repeats": "one repeat"}.get(sessions or "", "not known")
    across = {"repeats": "two repeats"}.get(sessions or "", "two sessions")
    for suffix, title in (("", within), (ACROSS, across)):
        table = evaluation.get(f"encoder{suffix}", {})
        table = table.get("unseen", table).get("encoder", {})  # Users elsewhere are all unseen.
        maps = evaluation.get(f"saliency{suffix}_differences", {}).get("unseen", {})
        for n, metrics in table.items():
            gain = maps.get(n, {}).get("own_minus_swapped")
            rows.append(
                [
                    data,
                    str(metrics["num_users"]),
                    title,
                    n,
                    format_value(metrics, "roc_auc"),
                    format_value(metrics, "rank1"),
                    "" if gain is None else format_value(gain, "information_gain", signed=True),
                ]
            )
    return rows
