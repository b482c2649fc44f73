"""What a report says of recording sessions: whose they are, and what they do not show."""

from collections.abc import Mapping
from typing import Any

# Enrolment and probe of two sessions; the key of a table ends likewise.
ACROSS = "_across_sessions"

SESSIONS = {
    None: (
        "The data set names no sessions: gallery and probe may come from one session. The "
        "metrics are an upper bound, not a claim about the person."
    ),
    "one": (
        "Every user has one session: gallery and probe come from the same recordings. The metrics "
        "are an upper bound, not a claim about the person."
    ),
    "joined": (
        "The sessions of a user are joined, because they are too short to be compared: gallery and "
        "probe share sessions. The metrics are an upper bound, not a claim about the person."
    ),
    "sessions": (
        "Gallery and probe come from one session, or, where a row says so, from different sessions."
    ),
    "repeats": (
        "Gallery and probe come from one repeat of the images, or, where a row says so, from "
        "different repeats. That repeats are sessions is not known."
    ),
}


def across(key: str, compared: Mapping[str, Any]) -> str:
    """What a table across sessions is of, which only data with known sessions have."""
    return f", across {compared['sessions']}" if key.endswith(ACROSS) else ""


def seen_in_all(kind: str) -> str:
    """Why seen users show nothing across sessions, or repeats."""
    return (
        f" The encoder learned from all {kind} of the seen users, so that only unseen users show "
        f"what carries over to other {kind}."
    )


def not_shown(of_encoder: Mapping[str, Any], compared: Mapping[str, Any]) -> str:
    """What the rows across sessions do not show, or that there are none; empty without sessions.

    Args:
        of_encoder: rows of the encoder by n, of each table of stage 1 and group of users.
        compared: what was compared.
    """
    tables = of_encoder.get("encoder" + ACROSS)
    kind = compared.get("sessions")
    if tables is None:
        is_known = kind in ("sessions", "repeats")
        return is_known * (
            f" Too few users have two {kind} with images enough: no row is across {kind}, and the "
            "metrics are an upper bound, not a claim about the person."
        )
    said = seen_in_all(str(kind)) if "seen" in tables else ""
    for group, rows in tables.items():
        size, row = max(rows.items(), key=lambda one: int(one[0]))
        low, high = row.get("roc_auc_interval", (1, 1))
        if low <= 0.5 <= high:
            said += (
                f" Across {kind}, {group} users are not shown to be recognized better than by "
                f"chance: the interval of ROC-AUC at n = {size} has 0.5 in it."
            )
    return said
