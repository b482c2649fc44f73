"""Gaze of webcams in trials of jsPsych: samples of its WebGazer extension."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from tfds_builders.common import raw_files
from tfds_builders.common.gaze_files import containers, detection, people, plain, rows, samples
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Rows

_ADVICE = "a webcam gives no fixations of its own"

_GAZE, _TARGETS = "webgazer_data", "webgazer_targets"
_JSPSYCH_KEYS = frozenset(("trial_type", "trial_index"))
_RUN = "runid"  # Without signs. A run of an experiment in a browser is one of a person.
# What counts the trials of one run of the experiment, in the order of trust.
_ORDERS = ("trial_index", "time_elapsed")
_MOST_NAMED = 3
_MOST_SHOWN = 60
_SESSIONS = ("session", "sessionid")
# A selector of the picture has words of the first kind, and further ones of the second. Elements
# around the picture may have those of the third.
_WORDS_OF_PICTURES = frozenset(
    ("img", "image", "picture", "pic", "photo", "scene", "stim", "stimulus")
)
_WORDS = _WORDS_OF_PICTURES | {"my", "the", "main", "target", "current", "trial", "task", "test"}
_WORDS_OF_BOXES = frozenset(("div", "box", "container", "wrapper", "display", "content", "body"))
_OF_JSPSYCH = re.compile(r"[#.]jspsych-(([\w-]+-)?stimulus|(content|display|target)[\w-]*)")
_COMBINATORS = r"[\s>+~]+"
_IMG = re.compile(r"<img\b[^>]*>", re.IGNORECASE)


class _Trial(NamedTuple):
    """A trial of jsPsych with gaze.

    Attributes:
        place: number of its object or row, from 1.
        values: its values by their names.
        samples: float64 [n, 3] x, y, t; x and y are NaN without gaze.
        image: name of the picture; "": there is none.
        shown_px: x, y, width and height of the picture in the window; None: not known.
        selector: CSS selector of the picture; "": not known.
        unfit: the selectors, where none of them is of the picture.
    """

    place: int
    values: Mapping[str, Any]
    samples: np.ndarray
    image: str
    shown_px: tuple[float, ...] | None
    selector: str
    unfit: tuple[str, ...]


def recognise_jspsych(opened: Opened) -> Role:
    """Recognises JSON or a table of trials by its gaze of the WebGazer extension."""
    if opened.suffix != ".json":
        return "samples" if _GAZE in opened.columns else ""
    has_gaze = f'"{_GAZE}"' in opened.head
    if not has_gaze and set(opened.columns) >= _JSPSYCH_KEYS:  # Long trials may come before.
        has_gaze = f'"{_GAZE}"' in containers.read_text(opened)
    return "samples" if has_gaze else ""


def read_jspsych(opened: Opened, how: How) -> Rows:
    """Reads trials of jsPsych: one object or row a trial, with samples in `webgazer_data`.

    x and y are pixels of the browser's window. A picture's place is in `webgazer_targets` if the
    experiment asked for it.

    Raises:
        ValueError: no detection is asked for, a sample is no object of x, y and t, several columns
            could name the person, several runs name none, or only some pictures have a place.
    """
    path = opened.path
    samples.check_detection(path, how, advice=_ADVICE)
    values = _read_trials(opened)
    left_out: dict[str, int] = {}
    fits = plain.rows_where_all(opened, how.where, len(values))
    kind = "object" if opened.suffix == ".json" else "row"
    trials = []
    for number, one in enumerate(values, start=1):
        if fits[number - 1]:
            trial = _trial(f"{path} {kind} {number}", number, one)
            if trial is not None:
                trials.append(trial)
    if not trials:
        raise rows.NoFixationError(
            f"{path} has no trial with {_GAZE}, expected gaze in at least one"
        )
    has_pictures = any(trial.image for trial in trials)
    if has_pictures:
        trials = _without(trials, lambda one: one.image, "without a picture", left_out)
        trials = _without(
            trials,
            lambda one: one.shown_px is None or min(one.shown_px[2:]) > 0,
            "the picture had no size when its place was noted",
            left_out,
        )
    shown = [trial.shown_px for trial in trials]
    lacking = [one.place for one in trials if one.shown_px is None]
    if lacking and len(lacking) < len(trials):
        first = next(one for one in trials if one.shown_px is None)
        only = ", ".join(map(repr, first.unfit[:_MOST_NAMED]))
        raise ValueError(
            f"{path} {kind} {lacking[0]}: {_TARGETS} has no place of the picture"
            f"{f' (only {only})' if only else ''}, which other trials have: choose trials by "
            "--where"
        )
    lengths = [len(trial.samples) for trial in trials]
    session = _session(path, values, trials, kind)
    column, user = _person(path, values, trials, kind, session.counted if session else [])
    joined = np.concatenate([trial.samples for trial in trials] or [np.zeros((0, 3))])
    place = np.repeat([trial.place for trial in trials], lengths).astype(np.int64)
    # Trials may be sorted otherwise than in time.
    rank = np.zeros(len(values))
    rank[np.lexsort((_order(values), _runs(values)))] = np.arange(1.0, len(values) + 1)
    image = rows.names_of([trial.image for trial in trials])
    has_places = bool(trials) and not lacking
    selectors = ", ".join(dict.fromkeys(repr(trial.selector) for trial in trials))
    unfit = list(dict.fromkeys(repr(one) for trial in trials for one in trial.unfit))
    more = f" and {len(unfit) - _MOST_NAMED} more" if len(unfit) > _MOST_NAMED else ""
    whose: tuple[rows.LeftOut, ...] = ()
    if column:  # People may have trials without gaze only.
        people_of_trials = rows.names_of([_text(one.get(column)) for one in values])
        sessions = None
        if session:
            sessions = rows.names_of(session.of_values)
        everyone = rows.places(len(values)), people_of_trials, sessions
        whose = (rows.LeftOut(*everyone, rows.NO_FIXATION),)
    found = Rows(
        place=place,
        image=_repeat(image, lengths) if has_pictures else None,
        user=None if user is None else _repeat(user, lengths),
        session=None if session is None else _repeat(rows.names_of(session.of_trials), lengths),
        x=rows.exact(joined[:, 0]),
        y=rows.exact(joined[:, 1]),
        t_ms=rows.exact(joined[:, 2]),
        trial=rows.exact(rank[place - 1]),
        trial_count=rows.exact(_numbers(values, _ORDERS[0])[place - 1]),
        shown_px=np.repeat(np.array(shown, float), lengths, axis=0) if has_places else None,
        frame="screen",
        left_out=left_out,
        whose=whose,
        taken=(
            ("image from 'stimulus'" if has_pictures else "no image in 'stimulus'")
            + (f", person from {column!r}" if column else ", person from the name of the file")
            + (f", session from {' and '.join(map(repr, session.columns))}" if session else "")
            + f", samples from {_GAZE!r} (pixels of the browser's window, ms)"
            + (f", place of the picture from {_TARGETS!r} ({selectors})" if has_places else "")
            + (f", no place of the picture: {_TARGETS!r} has only " if unfit else "")
            + (", ".join(unfit[:_MOST_NAMED]) + more)
            + f", {detection.in_words(how.detection)}"  # type: ignore[arg-type]
        ),
        place_text=lambda number: f"{kind} {number}",
    )
    order = np.lexsort((joined[:, 2], place))  # Samples may be written in another order.
    found = rows.take(rows.without_folders(found), order)
    is_first = rows.run_starts(found.place, joined[order, 2])
    found = rows.take(found, is_first, "a second sample at the same time")
    return samples.fixations_of_samples(path, found, found.place, how, advice=_ADVICE)


def _read_trials(opened: Opened) -> list[Mapping[str, Any]]:
    if opened.suffix == ".jsonl":  # As a table, all objects would have the same keys.
        return containers.read_json_lines(opened)
    if opened.suffix != ".json":
        known = (_GAZE, _TARGETS, "stimulus", "trial_type", *_ORDERS)
        names = {name for name in opened.columns if name in known or _is_person(name)}
        names |= {name for name in opened.columns if _plain(name) in _SESSIONS}
        return containers.read_table(opened, names, may_nest=True).to_pylist()
    values = containers.json_objects(containers.read_json(opened))
    if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
        raise ValueError(f"{opened.path} is not JSON of jsPsych, expected a list of objects")
    return values


def _trial(where: str, place: int, values: Mapping[str, Any]) -> _Trial | None:
    """Reads a trial; None: a trial without gaze."""
    gaze = _decoded(where, _GAZE, values.get(_GAZE))
    if not gaze and gaze in (None, []):
        return None
    if not isinstance(gaze, list):
        raise ValueError(f"{where}: {_GAZE} is {_shown(gaze)}, expected a list of samples")
    samples_ = np.empty((len(gaze), 3))
    for number, sample in enumerate(gaze):
        if not isinstance(sample, dict) or not {"x", "y", "t"} <= sample.keys():
            raise ValueError(
                f"{where}: sample {number + 1} of {_GAZE} is {_shown(sample)}, expected an object "
                "of x, y and t"
            )
        for axis, name in enumerate("xyt"):
            value = sample[name]
            samples_[number, axis] = (
                np.nan
                if value is None and name != "t"
                else _number(f"{where}: sample {number + 1} of {_GAZE}: {name}", value)
            )
    targets = _decoded(where, _TARGETS, values.get(_TARGETS)) or {}
    if not isinstance(targets, dict):
        raise ValueError(f"{where}: {_TARGETS} is {_shown(targets)}, expected an object")
    image, tag = _picture(values.get("stimulus"))
    selector = _selector(where, targets, tag) if image else ""
    shown = _rectangle(f"{where}: {_TARGETS}", targets[selector]) if selector else None
    unfit = tuple(targets) if image and not selector else ()
    return _Trial(place, values, samples_, image, shown, selector, unfit)


def _decoded(where: str, name: str, value: Any) -> Any:
    """Returns what a cell of a table stands for: JSON."""
    if not isinstance(value, str):
        return value
    if value.strip() in rows.MISSING:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{where}: {name} is {_shown(value)}, expected JSON, which may be cut "
            f"({raw_files.one_line(error)})"
        ) from error


def _number(where: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if np.isfinite(float(value)):
                return float(value)
        except OverflowError:
            pass
    raise ValueError(f"{where} is {_shown(value)}, expected a finite number")


def _shown(value: Any) -> str:
    return f"{value!r:.40}"


def _picture(stimulus: Any) -> tuple[str, str]:
    """Returns the path of the picture of a stimulus, or "", and the HTML tag, or ""."""
    if not isinstance(stimulus, str):
        return "", ""
    text, tag = stimulus, ""
    if "<" in stimulus:
        tags = _IMG.findall(stimulus)
        # Of several pictures, none is the one that gaze belongs to.
        tag = tags[0] if len(tags) == 1 else "<"
        text = _attribute(tag, "src")
    text = unquote(re.split("[?#]", text.strip())[0]).encode(errors="replace").decode()
    is_path = rows.is_picture(text) and not text.startswith("data:")
    return (text if is_path else ""), tag


def _attribute(tag: str, name: str) -> str:
    pattern = rf"""\s{name}\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))"""
    match = re.search(pattern, tag, re.IGNORECASE)
    return html.unescape(next(filter(None, match.groups()), "")) if match else ""


def _selector(where: str, targets: Mapping[str, Any], tag: str) -> str:
    """Returns the CSS selector of the picture; "": not known.

    Args:
        where: the trial, for messages.
        targets: places by the selectors of the elements.
        tag: HTML of the picture; "": the stimulus is the path of the picture.
    """
    marks = {f"#{_attribute(tag, 'id')}", *(f".{one}" for one in _attribute(tag, "class").split())}
    ends = {one: (re.split(_COMBINATORS, one.strip()) or [""])[-1] for one in targets}
    found = [one for one, end in ends.items() if len(end) > 1 and end in marks]
    found = found or [one for one in targets if _may_be_picture(one, is_html=bool(tag))]
    for other in found[1:]:
        if targets[other] != targets[found[0]]:
            raise ValueError(
                f"{where}: {_TARGETS} has {found[0]!r} and {other!r} at different places, and both "
                "could be the picture, expected one selector of a picture"
            )
    return found[0] if found else ""


def _may_be_picture(selector: str, *, is_html: bool) -> bool:
    """Whether all words of a selector fit a picture: of a logo, the place is another one."""
    *outer, own = re.split(_COMBINATORS, selector.strip())
    fits = [_OF_JSPSYCH.fullmatch(one) or _words(one) <= _WORDS | _WORDS_OF_BOXES for one in outer]
    words = _words(own)
    if is_html and not re.match(r"img\b", own, re.IGNORECASE):
        return False  # A stimulus of HTML is a box around the picture, and so is one of a slider.
    is_stimulus = _OF_JSPSYCH.fullmatch(own) and own.endswith("-stimulus") and "slider" not in words
    is_named = words <= _WORDS and not words.isdisjoint(_WORDS_OF_PICTURES)
    return all(fits) and bool(is_named or is_stimulus)


def _words(selector: str) -> set[str]:
    """Returns the words of a selector: of "#myPicture-2", my and picture."""
    return {one.lower() for one in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", selector)}


def _rectangle(where: str, target: Any) -> tuple[float, ...]:
    if not isinstance(target, dict):
        raise ValueError(f"{where} has {_shown(target)}, expected x, y, width and height")
    x, y = target.get("x", target.get("left")), target.get("y", target.get("top"))
    sides = {"x": x, "y": y, "width": target.get("width"), "height": target.get("height")}
    return tuple(_number(f"{where}: {name}", value) for name, value in sides.items())


def _without(
    trials: list[_Trial], is_kept: Any, reason: str, left_out: dict[str, int]
) -> list[_Trial]:
    """Returns the trials to keep, and counts the samples of the others."""
    kept = [trial for trial in trials if is_kept(trial)]
    count = sum(len(trial.samples) for trial in trials) - sum(len(one.samples) for one in kept)
    if count:
        left_out[reason] = left_out.get(reason, 0) + count
    return kept


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _is_person(name: str) -> bool:
    return people.names_person(name) or _plain(name) == _RUN


class _Sessions(NamedTuple):
    """Sessions of a file.

    Attributes:
        columns: where they are from.
        of_trials: of each trial with gaze.
        of_values: of each trial; "" where a column has no value.
        counted: of each trial with gaze, by the first column.
    """

    columns: list[str]
    of_trials: list[str]
    of_values: list[str]
    counted: list[str]


def _session(
    path: Path, values: Sequence[Mapping[str, Any]], trials: Sequence[_Trial], kind: str
) -> _Sessions | None:
    """Finds the sessions; arguments as of `_person`.

    A `session` may be a number or the same for all, and a `session_id` says no order: together they
    keep sessions apart.
    """
    found: dict[str, list[str]] = {}
    columns = dict.fromkeys(name for one in values for name in one)
    for column in sorted(columns, key=lambda name: _plain(name) != _SESSIONS[0]):
        if _plain(column) in _SESSIONS:
            texts = _texts_of_runs(path, values, trials, column, kind)
            if any(texts):
                found[column] = texts
    if not found:
        return None
    # Of two columns, one that lacks a part of a run says no more than the other.
    run = _runs(values)[[trial.place - 1 for trial in trials]]
    whole = {column: of for column, of in found.items() if _is_whole(of, run)}
    found = whole or found
    of_values = ([_text(one.get(column)) for column in found] for one in values)
    of_trials = [" ".join(filter(None, one)) for one in zip(*found.values(), strict=True)]
    return _Sessions(
        [*found],
        of_trials,
        [" ".join(texts) if all(texts) else "" for texts in of_values],
        next(iter(found.values())),
    )


def _is_whole(texts: Sequence[str], run: np.ndarray) -> bool:
    """Whether a column has a text in all trials of each run, or in none of it."""
    has_text = np.array([text != "" for text in texts])
    lacking = np.intersect1d(run[has_text], run[~has_text])
    return not len(lacking)


def _texts_of_runs(
    path: Path,
    values: Sequence[Mapping[str, Any]],
    trials: Sequence[_Trial],
    column: str,
    kind: str,
) -> list[str]:
    """Returns the texts of a column in trials with gaze, "" where there is none.

    Of a run whose trials with gaze have none, other trials say it; arguments as of `_person`.
    """
    for number, value in enumerate((one.get(column) for one in values), start=1):
        if value and isinstance(value, list | dict):
            raise ValueError(
                f"{path} {kind} {number}: {column!r} is {str(value)[:_MOST_SHOWN]}, expected a "
                "text or a number"
            )
    run = _runs(values)
    of_gaze = np.array([trial.place - 1 for trial in trials], np.int64)
    texts = np.array([_text(one.get(column)) for one in values], object)
    for number in np.unique(run[of_gaze]):
        at, here = np.flatnonzero(run == number), of_gaze[run[of_gaze] == number]
        named = dict.fromkeys(filter(None, texts[at]))
        if any(texts[here]) or not named:
            continue
        if len(named) > 1:
            raise ValueError(
                f"{path}: {column!r} is {' and '.join(map(repr, list(named)[:2]))} in trials "
                f"without gaze before {kind} {at[-1] + 1}, expected one value in a run"
            )
        texts[here] = next(iter(named))
    return list(texts[of_gaze])


def _runs(values: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Numbers the runs of an experiment: int64 [number of trials].

    Trials are counted through a run: where the count does not rise, another run begins. Numbers
    that are all different are of one run, in any order.
    """
    order = _order(values)
    given = np.flatnonzero(np.isfinite(order))
    starts = np.zeros(len(values), np.int64)
    if len(np.unique(order[given])) < len(given):
        starts[given[1:][np.diff(order[given]) <= 0]] = 1
    return np.cumsum(starts)


def _order(values: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Returns the numbers of the trials in their run: float64 [number of trials]."""
    for name in _ORDERS:
        order = _numbers(values, name)
        if np.isfinite(order).any():
            return order
    return np.full(len(values), np.nan)


def _numbers(values: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    texts = [_text(one.get(name)) for one in values]
    return rows.numbers_of(pa.chunked_array([pa.array(texts, pa.string())])).values


def _check_one_clock(path: Path, values: Sequence[Mapping[str, Any]], kind: str) -> None:
    """Checks that the time of a run rises with the number of its trials."""
    index, time = (_numbers(values, name) for name in _ORDERS)
    given = np.flatnonzero(np.isfinite(index) & np.isfinite(time))
    given = given[np.lexsort((given, index[given]))]
    for wrong in given[1:][np.diff(time[given]) < 0][:1]:
        raise ValueError(
            f"{path} {kind} {wrong + 1}: time_elapsed ({time[wrong]:g}) is less than in a trial "
            f"before trial_index {index[wrong]:g}, as in another run of the experiment, and no "
            "column names the person, expected a column such as 'subject', or a file for each run"
        )


def _are_counted(sessions: Sequence[str], run: np.ndarray) -> bool:
    """Whether each run has a session of its own such as 1 and 2, as one person has them."""
    pairs = set(zip(sessions, run.tolist(), strict=True))
    numbers = {session for session, _ in pairs if re.fullmatch(r"\d{1,2}", session)}
    return len(numbers) == len(pairs) == len(np.unique(run))


def _person(
    path: Path,
    values: Sequence[Mapping[str, Any]],
    trials: Sequence[_Trial],
    kind: str,
    sessions: Sequence[str],
) -> tuple[str, Names | None]:
    """Returns the column of the person and the person of each trial with gaze.

    Columns that divide the trials alike mean the same; the first one is taken. A column that stands
    only in trials without gaze, such as those before, is the person of all trials of a run.

    Args:
        path: the file, for messages.
        values: of all trials of the file.
        trials: with gaze.
        kind: of the place of a trial, for messages.
        sessions: of each trial with gaze; []: not known.
    """
    found: dict[str, Names] = {}
    for column in dict.fromkeys(name for one in values for name in one):
        if not _is_person(column):
            continue
        names = rows.names_of(_texts_of_runs(path, values, trials, column, kind))
        lacking = np.flatnonzero(names.codes < 0)
        if len(lacking) == len(trials):
            continue
        if len(lacking):
            raise ValueError(
                f"{path} {kind} {trials[lacking[0]].place} has no {column!r}, which other trials "
                "have, expected a person in each trial with gaze"
            )
        found[column] = names
    if not found:
        run, of_gaze = _runs(values), np.array([trial.place - 1 for trial in trials], np.int64)
        is_one = bool(sessions) and _are_counted(sessions, run[of_gaze])
        for again in of_gaze[run[of_gaze] > run[of_gaze[:1]]][: 0 if is_one else 1]:
            raise ValueError(
                f"{path} {kind} {again + 1}: {_shown_order(values, again)} begins anew, as in "
                "another run of the experiment, and no column names the person, expected a column "
                "such as 'subject', 'session' 1, 2, ... of one person, or a file for each run"
            )
        if not run.any():
            _check_one_clock(path, values, kind)
        return "", None
    first = next(iter(found))
    for column, names in found.items():
        # Codes are numbered in the order of the trials.
        if not np.array_equal(names.codes, found[first].codes):
            raise ValueError(
                f"{path}: {first!r} and {column!r} may both name the person and do not agree: "
                "leave one out of the file"
            )
    return first, found[first]


def _shown_order(values: Sequence[Mapping[str, Any]], place: int) -> str:
    name = next((name for name in _ORDERS if name in values[place]), _ORDERS[0])
    return f"{name} ({values[place].get(name)})"


def _text(value: Any) -> str:
    """Returns a name; "" for a value that is none."""
    if value is None or isinstance(value, bool | dict | list):
        return ""
    text = rows.as_text(value).encode(errors="replace").decode()
    return "" if text.strip() in rows.MISSING else text


def _repeat(names: Names, lengths: Sequence[int]) -> Names:
    return Names(np.repeat(names.codes, lengths), names.names)
