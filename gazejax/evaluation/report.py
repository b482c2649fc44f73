"""Tables of an evaluation, in Markdown.

The report starts with the data and the settings, and a short table of each stage. All tables follow
after `DETAILS`. Brackets contain the 95 % interval. The part before `DETAILS` is short enough for a
README.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gazejax.evaluation.few_shot.tables import few_shot_users, format_few_shot
from gazejax.evaluation.formats import (
    format_count,
    format_value,
    format_value_of_users,
    markdown_table,
)
from gazejax.evaluation.session_texts import ACROSS, SESSIONS, across, not_shown

DETAILS = "## Details"

METHODS = {
    "encoder": "**encoder**",
    "encoder_truncated": "encoder, scanpaths truncated to {common_fixations} fixations",
    "residual_map": "residual map, no learning",
    "fixation_statistics": "fixation statistics (number, mean duration)",
    "permuted_labels": "encoder, labels permuted in training and evaluation",
    "permuted_training": "encoder, labels permuted in training (floor)",
    "chance": "chance",
}

_TABLES_OF_STAGE_1 = ("encoder", "encoder" + ACROSS)

STAGE_1_METRICS = {
    "roc_auc": "ROC-AUC",
    "rank1": "rank-1",
    "eer": "EER",
    "fnmr_at_fmr_1": "FNMR at FMR 1 %",
    "fnmr_at_fmr_10": "FNMR at FMR 10 %",
    "map_at_r": "MAP@R",
}

_CONDITIONS = {
    "universal": "universal map",
    "center_prior": "center prior",
    "predicted": "predicted universal map",
    "calibrated": "universal map, calibrated to the user",
    "own": "**network, own embedding**",
    "mean": "network, mean embedding",
    "swapped": "network, another user's embedding",
}

_METRICS = {
    "cc": "CC",
    "sim": "SIM",
    "kld": "KLD, nats",
    "nss": "NSS",
    "auc": "AUC",
    "sauc": "sAUC",
    "information_gain": "IG over the center prior, bits",
}

_COPIES_ARE_UNKNOWN = (
    " **Copies of trained images were not sought**: a data set of the training is not prepared, or "
    "there are no pictures. No image has the name of a trained image."
)


def format_evaluation_on(result: Mapping[str, Any]) -> str:
    """Formats the result of `run.evaluate_on` as Markdown."""
    compared = result["compared"]
    of_encoder = {
        table: {"unseen": result[table]["encoder"]}
        for table in _TABLES_OF_STAGE_1
        if table in result
    }
    tables = [of_groups["unseen"] for of_groups in of_encoder.values()]
    users, other_users = (format_count(_num_users(tables[place])) for place in (0, -1))
    if other_users != users:
        users += f" ({other_users} across {compared['sessions']})"
    first = next(iter(tables[0].values()))
    return "\n\n".join(
        [
            SESSIONS[compared.get("sessions")] + not_shown(of_encoder, compared),
            f"{users} users of `{compared['data']}`, {first['num_images']} images; "
            f"encoder trained on `{compared['trained_on']}`, seed {compared['training_seed']}, "
            f"folds {compared['evaluated_folds']}, {compared['encoder_draws']} draws, commit "
            f"{compared['commit']}, {compared['date']}. In brackets: 95 % interval over users and "
            f"images.{'' if compared['copies_are_known'] else _COPIES_ARE_UNKNOWN}"
            + _of_few(number for rows in tables for number in _num_users(rows)),
            *_tables_of_stage_1(result, compared),
        ]
    )


def format_evaluation(result: Mapping[str, Any]) -> str:
    """Formats an evaluation as Markdown: the short tables, `DETAILS`, all tables.

    The other data sets of the run follow, with a section each.
    """
    parts = [*_headlines(result), DETAILS, *_details(result)]
    for name, of_dataset in result.get("datasets", {}).items():
        parts += [f"## Data set {name}", *_headlines(of_dataset), *_details(of_dataset)]
    return "\n\n".join(parts) + "\n"


def _headlines(result: Mapping[str, Any]) -> list[str]:
    of_maps = [result[key][group] for group, key in _tables_of_stage_2(result)]
    tables = [rows for of_table in _encoder_rows(result).values() for rows in of_table.values()]
    of_few = _of_few(
        number
        for rows in (*tables, *({n: row["own"] for n, row in of.items()} for of in of_maps))
        for number in _num_users(rows)
    )
    parts = [what_was_compared(result["compared"]) + of_few, _headline_of_stage_1(result)]
    if "saliency" in result:
        parts.append(_headline_of_stage_2(result))
    if "few_shot" in result:
        parts.append(format_few_shot(result["few_shot"], METHODS))
    return parts


def _details(result: Mapping[str, Any]) -> list[str]:
    parts = []
    for group, methods in result["encoder"].items():
        users = _users(group, methods["encoder"])
        of_others = result.get("encoder" + ACROSS, {}).get(group, methods)["encoder"]
        number = format_count(_num_users(of_others))
        if number != format_count(_num_users(methods["encoder"])):
            users += f"; {number} users across {result['compared']['sessions']}"
        parts.append(f"### Verification: {users}")
        of_group = {
            key: result[key][group]
            for table in _TABLES_OF_STAGE_1
            for key in (table, f"{table}_differences")
            if group in result.get(key, {})
        }
        parts += _tables_of_stage_1(of_group, result["compared"])
    for group, key in _tables_of_stage_2(result):
        sizes = result[key][group]
        users = _users(group, {n: rows["own"] for n, rows in sizes.items()})
        parts.append(f"### Prediction{_where(key, result['compared'])}: {users}")
        parts.append(_conditions_table(sizes))
        parts.append("Paired differences, and p-values of own better than swapped:")
        parts.append(_saliency_differences_table(result[f"{key}_differences"][group]))
    if "few_shot" in result:
        parts.append("### Few-shot identification: rank-1 of each user")
        parts.append(few_shot_users(result["few_shot"], METHODS))
    return parts


def headline(evaluation: str) -> str:
    """The part of the text of `format_evaluation` before the details."""
    return evaluation.split(DETAILS)[0].strip()


def _of_few(num_users: Iterable[int]) -> str:
    few = [number for number in num_users if number < 5]
    return f" Intervals over {format_count(few)} users are too narrow." if few else ""


def _num_users(rows: Mapping[str, Any]) -> list[int]:
    """How many users are compared, at each n."""
    return [row["num_users"] for row in rows.values()]


def _encoder_rows(result: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Rows of the encoder by n, of each table of stage 1 and group of users."""
    return {
        table: {group: methods["encoder"] for group, methods in result[table].items()}
        for table in _TABLES_OF_STAGE_1
        if table in result
    }


def what_was_compared(compared: Mapping[str, Any]) -> str:
    """Says on whom the metrics are, and how they were measured."""
    folds = compared["evaluated_folds"]
    if len(folds) > 1:
        users = f"{len(folds)} folds of users, each held out once"
    else:
        users = f"fold {folds[0]} of {compared['folds']}"
    if compared.get("test_rule") == "osie_published":
        users = "the split of the few-shot scanpath papers (`osie_published`)"
    if compared["purpose"] == "validation":
        users = f"validation, without the users and images of the reported metrics; {users}"
        users += f", {compared['seen_users']} seen and {compared['unseen_users']} unseen users"
    if "trained_on" in compared:
        users += f"; trained on {compared['trained_on']}"
    return (
        f"{compared['data']}: {users}; {compared['test_images']} test images; "
        f"{compared['encoder_draws']} draws of images for stage 1, {compared['saliency_draws']} "
        f"for stage 2; training seed {compared['training_seed']}; evaluated at commit "
        f"{compared['commit'] or 'unknown'}, {compared['date']}. In brackets: 95 % bootstrap "
        f"intervals over users and images, {compared['resamples']} resamples."
    )


def _headline_of_stage_1(result: Mapping[str, Any]) -> str:
    compared, groups = result["compared"], result["encoder"]
    of_encoder = _encoder_rows(result)
    # Gallery and probe of one session divide its images: n may be smaller than across sessions.
    sizes = sorted({n for of in of_encoder.values() for rows in of.values() for n in rows}, key=int)
    lines = []
    for group, methods in groups.items():
        for method in _in_order(methods):
            # Rank-1 is shown for the main methods only; its chance level depends on the users.
            is_main = method in ("encoder", "residual_map", "chance")
            for table in _TABLES_OF_STAGE_1:
                rows = result.get(table, {}).get(group, {}).get(method)
                counts = _num_users(of_encoder.get(table, {}).get(group, {}))
                most = max(counts, default=None)
                for metric in ("roc_auc", "rank1") if is_main else ("roc_auc",):
                    if rows:
                        name = f"{group}: {_title(method, table, compared)}"
                        values = [
                            format_value_of_users(rows[size], metric, most) if size in rows else ""
                            for size in sizes
                        ]
                        lines.append([name, STAGE_1_METRICS[metric], *values])
    of_tables = {
        table: ", ".join(f"{format_count(_num_users(rows))} {group}" for group, rows in of.items())
        for table, of in of_encoder.items()
    }
    users = of_tables["encoder"]
    if (others := of_tables.get("encoder" + ACROSS, users)) != users:
        users += f"; {others}, across {compared['sessions']}"
    return (
        f"**Verification.** Users ({users}) compared by n enrolment and n probe images. "
        f"{SESSIONS[compared.get('sessions')]}{not_shown(of_encoder, compared)}\n\n"
        + markdown_table(["users: method", "metric", *(f"n = {size}" for size in sizes)], lines)
    )


def _tables_of_stage_2(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Group and key of each table, those of a group one after the other."""
    keys = [key for key in ("saliency", "saliency" + ACROSS) if key in result]
    groups = result.get("saliency", {})
    return [(group, key) for group in groups for key in keys if group in result[key]]


def _where(key: str, compared: Mapping[str, Any]) -> str:
    """Whether a table of stage 2 is within a session or across; empty if no sessions are known."""
    kind = compared.get("sessions")
    if kind not in ("sessions", "repeats"):
        return ""
    return across(key, compared) or f", within a {kind.removesuffix('s')}"


def _headline_of_stage_2(result: Mapping[str, Any]) -> str:
    compared, lines = result["compared"], []
    for group, key in _tables_of_stage_2(result):
        for size, rows in result[f"{key}_differences"][group].items():
            p_values = rows["own_minus_swapped_p_value"]
            for metric, title in (("information_gain", "IG, bits per fixation"), ("cc", "CC")):
                own = result[key][group][size]["own"]
                lines.append(
                    [
                        f"{group}, {size}{across(key, compared)}",
                        title,
                        format_value(rows["own_minus_swapped"], metric, signed=True),
                        f"{p_values[metric]:.3f}",
                        format_value(rows["own_minus_mean"], metric, signed=True),
                        format_value(rows["own_minus_calibrated"], metric, signed=True),
                        format_value(own, metric),
                    ]
                )
    header = [
        "users, enrolment images",
        "metric",
        "own - swapped",
        "p",
        "own - mean",
        "own - calibrated",
        "own",
    ]
    sessions = ""
    if _where("saliency", compared):
        kind = compared["sessions"]
        sessions = (
            f"Enrolment and predicted maps come from one {kind.removesuffix('s')}, or, where a row "
            f"says so, from different {kind}. "
        )
    return (
        f"**Prediction.** {sessions}The network with a user's own embedding, minus the network "
        "with another user's embedding, minus the network with the mean embedding, and minus the "
        "calibrated universal map (IG of `own` over the center prior):\n\n"
        + markdown_table(header, lines)
    )


def _in_order(methods: Iterable[str]) -> list[str]:
    return sorted(methods, key=[*METHODS].index)


def _title(method: str, table: str, compared: Mapping[str, Any]) -> str:
    return METHODS[method].format(**compared) + across(table, compared)


def _tables_of_stage_1(tables: Mapping[str, Any], compared: Mapping[str, Any]) -> list[str]:
    """The metrics of all methods of a group of users, and the encoder minus each control."""
    present = [table for table in _TABLES_OF_STAGE_1 if table in tables]
    rows = [
        (_title(method, table, compared), size, row)
        for method in _in_order(tables["encoder"])
        for table in present
        for size, row in tables[table].get(method, {}).items()
    ]
    # Not all users have images enough for each n, or scanpaths long enough to be truncated.
    differ = len({row["num_users"] for _, _, row in rows if "num_users" in row}) > 1
    lines = [
        [
            title,
            size,
            *([str(row.get("num_users", ""))] if differ else []),
            *(format_value(row, key) for key in STAGE_1_METRICS),
        ]
        for title, size, row in rows
    ]
    header = ["method", "n", *(["users"] if differ else []), *STAGE_1_METRICS.values()]
    differences = [
        [
            name.replace("_", " ") + across(table, compared),
            size,
            *(format_value(row, key, signed=True) for key in STAGE_1_METRICS),
        ]
        for table in present
        for name, sizes in tables[f"{table}_differences"].items()
        for size, row in sizes.items()
    ]
    return [
        markdown_table(header, lines),
        "Encoder minus control, paired:",
        markdown_table(["difference", "n", *STAGE_1_METRICS.values()], differences),
    ]


def _conditions_table(sizes: Mapping[str, Any]) -> str:
    lines = [
        [title, size, *(format_value(rows[condition], key) for key in _METRICS)]
        for size, rows in sizes.items()
        for condition, title in _CONDITIONS.items()
        if condition in rows
    ]
    return markdown_table(["map", "n", *_METRICS.values()], lines)


def _saliency_differences_table(sizes: Mapping[str, Any]) -> str:
    lines = []
    for size, rows in sizes.items():
        for name, row in rows.items():
            if name.endswith("_p_value"):
                values = [f"{row[key]:.3f}" for key in _METRICS]
            else:
                values = [format_value(row, key, signed=True) for key in _METRICS]
            lines.append([name.replace("_", " "), size, *values])
    return markdown_table(["difference", "n", *_METRICS.values()], lines)


def _users(group: str, rows: Mapping[str, Any]) -> str:
    row, users = next(iter(rows.values())), format_count(_num_users(rows))
    return f"{users} {group} users, {row['num_images']} images, {row['num_draws']} draws"
