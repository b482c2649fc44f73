"""EyeLink .asc: the text of a recording, with fixations and the messages of the experiment."""

import collections
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import containers, one_eye, plain, rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.eyelink_messages import (
    NUMBER,
    PICTURES,
    UNCLEAR,
    Said,
    images_of_trials,
    read_message,
    read_own_message,
    said_in_trials,
    values_of_trials,
    without_others_of_one_name,
)
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Rows

_SAMPLE = re.compile(r"^\d", re.MULTILINE)
_OTHER_EVENT = re.compile(r"^E(SACC|BLINK)\b", re.MULTILINE)
_SIGNATURE = re.compile(
    r"^(?:\*\* (?:CONVERTED|DATE:|TYPE:|VERSION:)|MSG\s+\d+\s|START\s+\d+\s|EFIX\s+[LR]\s)", re.M
)
_LINE = re.compile(r"^(?:EFIX|MSG|START|END|EVENTS)[ \t].*$", re.M)
_MESSAGE = re.compile(r"MSG\s+(\d{1,15}(?:\.\d+)?)\s+(?:(-?\d{1,9})\s+)?(.*)")
_WHEN = r"(\d{1,15}(?:\.\d{1,9})?)"
_WHERE = r"(-?\d{1,9}(?:\.\d{1,9})?(?:[eE][+-]?\d\d?)?|\.)"
_FIXATION = re.compile(
    rf"EFIX\s+([LR])\s+{_WHEN}\s+{_WHEN}\s+{_WHEN}\s+{_WHERE}\s+{_WHERE}\s+{_WHERE}(?:\s.*)?"
)

# Messages of experiments that say when the picture comes or goes, of any form: they are not read.
_PICTURE = "(?:image|img|picture|pic|photo|scene|stimulus|stim|display|target|bild)"
_OWN_CHANGE = re.compile(
    rf"(?P<on>{_PICTURE}[\s_\-]?(?:on|onset|start|shown|displayed|presented|drawn|appears|an)"
    rf"|(?:show|display|draw|present|start|onset)[\s_\-]?{_PICTURE})"
    rf"|{_PICTURE}[\s_\-]?(?:off|offset|end|gone|hidden|removed|cleared|aus)"
    rf"|(?:hide|remove|clear|end|stop|offset)[\s_\-]?{_PICTURE}",
    re.IGNORECASE,
)

# Messages that begin and end a trial, of Data Viewer and of OpenSesame.
_BEGINS = ("TRIALID", "start_trial")
_ENDS = ("TRIAL_RESULT", "stop_trial", "end_trial")

_SEVERAL_DISPLAYS = (
    "before the last SYNCTIME or DISPLAY ON of the trial (if an earlier one is not of the picture, "
    "delete its message)"
)

# Places far off the screen are stored as this number.
_SATURATED_PX = 3270.0
# The middle of a screen is a whole number, or half of the number of its last pixel.
_MIDDLE_PX = 1.0
# The printed duration is the end minus the start plus one sample, of 4 ms at most.
_LONGEST_SAMPLE_MS = 20.0


# DISPLAY OFF lasts until DISPLAY ON; !V CLEAR lasts until the next picture, too.
_Change = Literal["on", "off", "clear", "picture"]


class _Trial(NamedTuple):
    """A trial; the lists are filled while the lines are read.

    Attributes:
        label: text after the message that begins the trial.
        time_ms: time of this message.
        onset_ms: times of SYNCTIME.
        changes: times from which the image is seen, or not seen any more, in their order.
        inside: what messages name in the trial.
        after: alike, between this trial and the next.
        seen: kinds and lines of its fixations, ends of recordings and displays.
        own: times and matches of messages of the experiment by `_OWN_CHANGE`, while it is open.
    """

    label: str
    time_ms: float
    onset_ms: list[float]
    changes: list[tuple[float, _Change]]
    inside: list[Said]
    after: list[Said]
    seen: list[tuple[str, int]]
    own: list[tuple[float, re.Match[str]]]


class _Recording(NamedTuple):
    """What the lines of a file say.

    Attributes:
        fixations: line, trial (0: outside), recording, 1 for the left eye, start, end, duration,
            x, y.
        trials: the trials; the first one stands for the time before all trials.
        begins: the message that begins a trial; "START": the begin of a recording.
        coordinates: name of a message with the edges of the screen, line, and the four numbers.
    """

    fixations: list[tuple[float, ...]]
    trials: list[_Trial]
    begins: str
    coordinates: list[tuple[str, int, list[float]]]


def recognise_eyelink_asc(opened: Opened) -> Role:
    """Recognises an .asc file of EyeLink by its first lines."""
    return "fixations" if opened.suffix == ".asc" and _SIGNATURE.search(opened.head) else ""


def read_eyelink_asc(opened: Opened, how: How) -> Rows:
    """Reads the fixations of an .asc file, in pixels of the screen.

    Args:
        opened: the file.
        how: the eye, for recordings of both eyes.

    Raises:
        ValueError: a line is damaged, the positions are not those on the screen, or lines
            contradict each other; the message has the file and the line.
    """
    path = opened.path
    text = containers.read_text(opened, is_log=True)
    recording = _read_lines(path, text)
    if not recording.fixations:
        # Samples without any event were converted without events.
        lacks_events = _SAMPLE.search(text) is not None and _OTHER_EVENT.search(text) is None
        raise (ValueError if lacks_events else rows.NoFixationError)(
            f"{path} has no fixation (EFIX), expected an .edf converted with events"
        )
    trials = recording.trials
    screen = _screen(path, recording.coordinates)
    values = np.array(recording.fixations, np.float64)
    line, trial, block = (values[:, column].astype(np.int64) for column in range(3))
    is_left = values[:, 3] == 1
    start, end, duration = values[:, 4], values[:, 5], values[:, 6]
    xy = values[:, 7:]
    one_eye.check(path, is_left, ~is_left, how.eye)
    chosen = one_eye.choose(is_left, ~is_left, block, how.eye)
    _check_overlap(path, line[chosen], start[chosen], end[chosen])
    both = without_others_of_one_name(
        [one.inside for one in trials] + [one.after for one in trials]
    )
    inside, after = both[: len(trials)], both[len(trials) :]
    said = said_in_trials(inside, after)
    images, is_several, taken_image = images_of_trials(inside, after, said)
    onset = np.array([(*one.onset_ms, -np.inf)[0] for one in trials])
    drawn = _drawn(trials, trial, start)
    zero = np.array([(*one.onset_ms, one.time_ms)[0] for one in trials])
    zero = np.where(np.isfinite(drawn), drawn, zero)
    number, taken_trial = _numbers_of_trials(
        trials, recording.begins, has_images=images is not None
    )
    found = Rows(
        place=line,
        image=None,
        user=rows.one_name(rows.stem(path), len(line)),
        x=rows.exact(xy[:, 0] - (screen[0] if screen else 0.0)),
        y=rows.exact(xy[:, 1] - (screen[1] if screen else 0.0)),
        duration_ms=rows.exact(duration),
        t_ms=rows.exact(start - zero[trial]),
        trial=rows.exact(number[trial]),
        frame="screen",
        screen_px=(screen[2], screen[3]) if screen else None,
        taken=(
            f"{taken_image}, person from the name of the file, {taken_trial}, x, y (pixels of the "
            f"screen) and duration (ms) from EFIX, start since "
            f"{'SYNCTIME, or else ' if np.isfinite(onset).any() else ''}"
            f"{'IMGLOAD, or else ' if np.isfinite(drawn).any() else ''}{recording.begins}"
            f"{one_eye.in_words(chosen, is_left, ~is_left, how.eye)}"
        ),
        place_text=lambda place: f"line {place}",
        variables={
            name: _at_fixations(values_of_trials(of), trial)
            for name, of in said.items()
            if name not in (PICTURES, UNCLEAR) and of is not None
        },
        unknown_variables={
            name: f"{name!r} is sent between trials, and not once for each, so that its trial is "
            f"not known, expected it after the message {recording.begins} of its trial"
            for name, of in said.items()
            if name not in (PICTURES, UNCLEAR) and of is None
        },
    )
    at = np.arange(len(line))  # The fixations that are left.
    rules: tuple[tuple[Any, str], ...] = (
        (chosen, rows.OTHER_EYE),
        (trial > 0, "outside any trial"),
        (end >= onset[trial], "before the trial's display (SYNCTIME)"),
        (end >= drawn[trial], "before the trial's picture (!V IMGLOAD)"),
        (
            _is_displayed([one.changes for one in trials], trial, start, end),
            "after the trial's display (DISPLAY OFF, !V CLEAR)",
        ),
        (~np.isnan(xy).any(axis=1), "without a place"),
        (~(np.abs(xy) == _SATURATED_PX).any(axis=1), "saturated far off the screen (3270)"),
        (~is_several[trial], "several images, or places of an image, in the trial"),
    )
    for is_good, reason in rules:
        found, at = rows.take(found, is_good[at], reason), at[is_good[at]]
    for condition in how.where:
        found, at = _take_where(path, found, at, condition)
    found = found._replace(doubtful=_doubtful(trials, trial[at], start[at], end[at]))
    if images is None:
        return found
    shown = [images[number] for number in trial[at]]
    names = rows.names_of([one.name if one else "" for one in shown])
    found = rows.without_folders(
        found._replace(image=names, shown_px=_rectangles(path, shown, screen))
    )
    containers.check_letters(opened, found.image, "image")
    corner = None if found.shown_px is not None else _corners(path, shown, screen)
    if corner is None:
        return found
    return found._replace(
        x=rows.exact(found.x.values - corner[:, 0]),
        y=rows.exact(found.y.values - corner[:, 1]),
        frame="image",
        screen_px=None,
        taken=f"{found.taken}, less the corner of the image, which is shown in its own size",
    )


def _at_fixations(values: Sequence[str], trial: np.ndarray) -> Names:
    names = rows.names_of(values, rows.MISSING)
    return Names(names.codes[trial], names.names)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Gives the lines of events with their numbers, from 1."""
    number, position = 1, 0
    for match in _LINE.finditer(text):
        number += text.count("\n", position, match.start())
        position = match.start()
        yield number, match[0].strip()


def _read_lines(path: Path, text: str) -> _Recording:
    if "\n" not in text:
        text = text.replace("\r", "\n")
    last = text.rsplit("\n", 1)[-1]
    if re.match(r"MSG\s.*(IMGLOAD|TRIAL_VAR|var )", last):
        raise ValueError(
            f"{path} is cut in its last line, {last[:80]!r}, expected a line break after it"
        )
    begins = next((word for word in _BEGINS if _has_message(text, word)), "START")
    trials = [_new_trial("", 0.0)]
    recording = _Recording([], trials, begins, [])
    is_open, num_blocks = False, 0
    for line, content in _lines(text):
        kind, *words = content.split()
        if kind in ("EFIX", "END"):
            trials[-1].seen.append((kind, line))
        if kind == "EFIX":
            trial = len(trials) - 1 if is_open else 0
            recording.fixations.append((line, trial, num_blocks, *_fixation(path, line, content)))
        elif kind == "EVENTS" and words[:1] != ["GAZE"]:
            raise ValueError(
                f"{path} line {line}: {content[:40]!r}: positions are not pixels of the screen, "
                "expected EVENTS GAZE"
            )
        elif kind == "START":
            num_blocks += 1
            if begins == "START":
                _close(trials[-1], is_open=is_open)
                trials.append(_new_trial("", _time(path, line, words)))
                is_open = True
        elif kind == "END" and begins == "START":
            is_open = False
        elif kind == "MSG":
            match = _MESSAGE.fullmatch(content)
            if match is None:
                continue  # A message without a text.
            time_ms, message = float(match[1]) - float(match[2] or 0), match[3]
            word, *others = re.split(r"[\s:=]+", message)
            if word == begins:
                label = " ".join(others)
                # Sent twice, it begins one trial.
                is_again = is_open and not trials[-1].seen and trials[-1].label == label
                if not is_again or not re.search(r"\d", label):
                    _close(trials[-1], is_open=is_open)
                    trials.append(_new_trial(label, time_ms))
                    number = re.match(rf"{begins}[\s:=]*(\d+[\s,;:]+)?", message)
                    assert number is not None
                    said = read_own_message(line, f"{begins} {message[number.end() :]}")
                    trials[-1].inside.extend(one for one in said if one.mode != "text")
                is_open = True
            elif word in _ENDS:
                is_open = False
            elif word == "SYNCTIME" or message.startswith("DISPLAY ON"):
                if is_open:
                    trials[-1].onset_ms.append(time_ms)
                    trials[-1].changes.append((time_ms, "on"))
                    trials[-1].seen.append(("display", line))
            elif message.startswith("DISPLAY OFF"):
                trials[-1].seen.append(("display", line))
                trials[-1].changes.append((time_ms, "off"))
            elif message.startswith("!V CLEAR"):
                # Many scripts clear the screen before the picture.
                if any(one.source == PICTURES for one in trials[-1].inside):
                    trials[-1].changes.append((time_ms, "clear"))
            elif word in ("DISPLAY_COORDS", "GAZE_COORDS"):
                numbers = [float(one) for one in NUMBER.findall(message)]
                recording.coordinates.append((word, line, numbers))
            else:
                said = read_message(path, line, message)
                name = said[0].source if said and said[0].mode == "message" else message
                if is_open and (own := _OWN_CHANGE.fullmatch(name)):
                    trials[-1].own.append((time_ms, own))
                (trials[-1].inside if is_open else trials[-1].after).extend(said)
                if any(one.source == PICTURES for one in said):
                    trials[-1].changes.append((time_ms, "picture"))
    _close(trials[-1], is_open=is_open)
    return recording


def _close(trial: _Trial, *, is_open: bool) -> None:
    """Ends a trial that no message ends: what follows may be of the next one.

    The recording of the next one may begin before it does, and have fixations. So what is of this
    trial for certain ends with its recording, with its last display, or with its first fixation.
    """
    ends, fixations, displays = (
        [line for kind, line in trial.seen if kind == wanted]
        for wanted in ("END", "EFIX", "display")
    )
    certain = max([*ends[:1], *fixations[:1], *displays[-1:]], default=0)
    if is_open and certain:
        trial.after[:0] = [one for one in trial.inside if one.line > certain]
        trial.inside[:] = [one for one in trial.inside if one.line < certain]


def _new_trial(label: str, time_ms: float) -> _Trial:
    return _Trial(label, time_ms, [], [], [], [], [], [])


def _has_message(text: str, word: str) -> bool:
    pattern = rf"^MSG[ \t]+[\d.]+[ \t]+(?:-?\d+[ \t]+)?{word}(?=[\s:=]|$)"
    return re.search(pattern, text, re.M) is not None


def _time(path: Path, line: int, words: Sequence[str]) -> float:
    if not words or not re.fullmatch(_WHEN, words[0]):
        raise ValueError(f"{path} line {line}: START has no time, expected a number")
    return float(words[0])


def _fixation(path: Path, line: int, content: str) -> tuple[float, ...]:
    match = _FIXATION.fullmatch(content)
    if match is None:
        raise ValueError(
            f"{path} line {line} is {content[:80]!r}, expected EFIX, L or R, start, end, duration, "
            "x, y and the size of the pupil"
        )
    start, end, duration = (float(match[group]) for group in (2, 3, 4))
    if not 0 <= duration - (end - start) <= _LONGEST_SAMPLE_MS:
        raise ValueError(
            f"{path} line {line}: the duration is {duration:g} from {start:.10g} to {end:.10g}, "
            "expected the end minus the start, plus one sample"
        )
    x, y = (np.nan if match[group] == "." else float(match[group]) for group in (5, 6))
    return float(match[1] == "L"), start, end, duration, x, y


def _drawn(trials: Sequence[_Trial], trial: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Finds when the picture of each trial came, where no other message says so.

    A message IMGLOAD after all fixations of a trial only names the picture.

    Args:
        trials: the trials.
        trial: int64 [n], trial of each fixation.
        start: float64 [n], time in milliseconds.

    Returns:
        float64 [k]; -inf: not known, or no fixation begins before.
    """
    drawn = np.full(len(trials), -np.inf)
    for number, one in enumerate(trials):
        times = [time_ms for time_ms, change in one.changes if change == "picture"]
        if not one.onset_ms and times:
            starts = start[trial == number]
            if (starts < times[0]).any() and (starts >= times[0]).any():
                drawn[number] = times[0]
    return drawn


def _is_displayed(
    changes: Sequence[Sequence[tuple[float, _Change]]],
    trial: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
) -> np.ndarray:
    """Finds the fixations that begin while the image is displayed, or end after it is again.

    Args:
        changes: of each trial, what is known of its display; before the first change, the image
            is displayed.
        trial: int64 [n], trial of each fixation.
        start: float64 [n], time in milliseconds.
        end: float64 [n], alike.

    Returns:
        bool [n].
    """
    is_displayed = np.ones(len(trial), bool)
    for number, of_trial in enumerate(changes):
        at = np.flatnonzero(trial == number) if of_trial else ()
        for off, back in _gaps(of_trial):
            is_displayed[at] &= (start[at] < off) | (end[at] >= back)
    return is_displayed


def _doubtful(
    trials: Sequence[_Trial], trial: np.ndarray, start: np.ndarray, end: np.ndarray
) -> dict[str, int]:
    """Counts fixations that are read although a message of the experiment speaks against them.

    The message may be of another picture, so that no fixation is left out by it.

    Args:
        trials: the trials.
        trial: int64 [n], trial of each fixation that is read.
        start: float64 [n], time in milliseconds.
        end: float64 [n], alike.

    Returns:
        Reason -> number of fixations.
    """
    counts: collections.Counter[str] = collections.Counter()
    for number, one in enumerate(trials):
        at = np.flatnonzero(trial == number)
        for time_ms, message in one.own:
            is_on = message["on"] is not None
            side, word = ("before", "SYNCTIME") if is_on else ("after", "DISPLAY OFF")
            reason = (
                f"{side} the message {message[0]!r}, which is not read (if it is of the picture, "
                f"write it as {word})"
            )
            counts[reason] += int((end[at] < time_ms if is_on else start[at] >= time_ms).sum())
        displays = [time_ms for time_ms, change in one.changes if change == "on"]
        counts[_SEVERAL_DISPLAYS] += int((end[at] < max(displays, default=-np.inf)).sum())
    return +counts


def _gaps(changes: Sequence[tuple[float, _Change]]) -> Iterator[tuple[float, float]]:
    """Gives the times without a display: from, and to."""
    off_ms, by = np.inf, ""
    for time_ms, change in sorted(changes, key=lambda one: one[0]):
        is_end = change == "on" or (change == "picture" and by == "clear")
        if by and is_end:
            yield off_ms, time_ms
            by = ""
        elif change in ("off", "clear"):
            off_ms = min(off_ms, time_ms) if by else time_ms
            by = "off" if by == "off" else change
    if by:
        yield off_ms, np.inf


def _check_overlap(path: Path, line: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Two fixations of one eye cannot be at the same time."""
    again = np.flatnonzero(start[1:] < end[:-1])
    if len(again):
        first, second = line[again[0] : again[0] + 2]
        raise ValueError(
            f"{path} line {second}: the fixation begins before the one of line {first} ends, "
            "expected one recording in the order of time"
        )


def _screen(
    path: Path, coordinates: Sequence[tuple[str, int, list[float]]]
) -> tuple[float, float, int, int] | None:
    """Returns left, top, width and height of the screen; None: not known.

    Some recorders give the last pixel as the right and lower edge, such as 1023 and 767, others the
    size. Widths and heights of screens are even, so that an odd number is a last pixel.
    """
    found: dict[tuple[float, float, int, int], int] = {}
    for name, line, numbers in coordinates:
        if len(numbers) != 4 or numbers[2] <= numbers[0] or numbers[3] <= numbers[1]:
            raise ValueError(
                f"{path} line {line}: {name} is {' '.join(f'{one:g}' for one in numbers)!r}, "
                "expected left, top, right and bottom in pixels"
            )
        left, top, right, bottom = numbers
        width, height = round(right - left), round(bottom - top)
        found.setdefault((left, top, width + width % 2, height + height % 2), line)
        if len(found) > 1:
            [(size, first), (other, _)] = found.items()
            raise ValueError(
                f"{path} line {line}: {name} gives a screen of {other[2]} x {other[3]}, expected "
                f"{size[2]} x {size[3]} and the same corner as in line {first}"
            )
    return next(iter(found), None)


def _numbers_of_trials(
    trials: Sequence[_Trial], begins: str, *, has_images: bool
) -> tuple[np.ndarray, str]:
    """Returns float64 [k], the number of each trial.

    It is the number in the message that begins the trial, if the numbers differ. Two viewings of an
    image must be in their order, so that with images the numbers must also rise.
    """
    labels = [one.label.split()[:1] for one in trials[1:]]
    own = [int(label[0]) for label in labels if label and re.fullmatch(r"\d{1,9}", label[0])]
    is_own = len(own) == len(labels) == len(set(own))
    if is_own and (own == sorted(own) or not has_images):
        return np.array([-1, *own], np.float64), f"trial from the number after {begins}"
    return np.arange(len(trials), dtype=np.float64), f"trial counted from 1 by {begins}"


def _take_where(path: Path, found: Rows, at: np.ndarray, condition: str) -> tuple[Rows, np.ndarray]:
    """Takes the fixations of trials whose variable fulfils a condition, of rows and their places.

    Raises:
        ValueError: no trial has the variable, or see `plain.rows_where`.
    """
    name, _, _ = plain.split_condition(condition)
    if name in found.unknown_variables:
        raise ValueError(f"--where {condition!r}: {path}: {found.unknown_variables[name]}")
    if name not in found.variables:
        raise ValueError(
            f"--where {condition!r}: {path} has no variable {name!r} of its trials; it has "
            f"{', '.join(map(repr, found.variables)) or 'none'}"
        )
    values = rows.only_used(found.variables[name])
    column = pa.chunked_array([pa.array([*values.names, None], pa.string())])

    def place_of(value: int) -> str:
        return f"line {found.place[np.flatnonzero(values.codes == value)[0]]}"

    fits = plain.cells_where(column, condition, path, decimal_comma=False, place_of=place_of)
    fits = fits[values.codes]
    return rows.take(found, fits, f"not {condition}"), at[fits]


def _rectangles(
    path: Path,
    shown: Sequence[Said | None],
    screen: tuple[float, float, int, int] | None,
) -> np.ndarray | None:
    """Returns float64 [n, 4], x, y, width and height of the image of each fixation; None: unknown.

    Raises:
        ValueError: some of the images have a size on the screen and others have none.
    """
    of_image: dict[Said, tuple[float, ...] | None] = {}
    for one in dict.fromkeys(image for image in shown if image is not None):
        if one.mode == "FILL":
            if screen is None:
                raise ValueError(
                    f"{path} line {one.line}: {one.name!r} fills a screen of unknown size, "
                    "expected a message DISPLAY_COORDS"
                )
            of_image[one] = (0.0, 0.0, float(screen[2]), float(screen[3]))
        elif len(one.numbers) == 4:
            x, y, width, height = one.numbers
            if one.mode == "CENTER":
                x, y = x - width / 2, y - height / 2
            left, top = screen[:2] if screen else (0.0, 0.0)
            of_image[one] = (x - left, y - top, width, height)
        else:
            of_image[one] = None
    without = [one for one, rectangle in of_image.items() if rectangle is None]
    if len(without) == len(of_image):
        return None
    if without:
        raise ValueError(
            f"{path} line {without[0].line}: {without[0].name!r} has no width and height on the "
            "screen, which other images have"
        )
    # A row without an image is left out later, its rectangle is never used.
    return np.array([of_image[one] if one else (0, 0, 1, 1) for one in shown], np.float64)


def _corners(
    path: Path,
    shown: Sequence[Said | None],
    screen: tuple[float, float, int, int] | None,
) -> np.ndarray | None:
    """Finds the corner of images that are shown without a size, so in their own size.

    Args:
        path: the file, for messages.
        shown: the image of each of n fixations, none with a rectangle.
        screen: left, top, width and height of the screen; None: not known.

    Returns:
        float64 [n, 2], x and y from the corner of the screen; None: the images are in the middle of
        the screen, or no message says their place.

    Raises:
        ValueError: only some images have a corner, or an image is around another place than the
            middle of the screen, where its corner depends on its size.
    """
    left, top, width, height = screen or (0.0, 0.0, 0, 0)
    of_image: dict[Said, tuple[float, float] | None] = {}
    for one in dict.fromkeys(image for image in shown if image is not None):
        of_image[one] = None
        if not one.numbers:
            continue
        x, y = one.numbers[0] - left, one.numbers[1] - top
        if one.mode == "TOP_LEFT":
            of_image[one] = x, y
        elif screen is None or max(abs(x - width / 2), abs(y - height / 2)) > _MIDDLE_PX:
            middle = (
                f", not {width / 2:g}, {height / 2:g}, the middle of the screen" if screen else ""
            )
            raise ValueError(
                f"{path} line {one.line}: {one.name!r} is around {x:g}, {y:g}{middle}, and has no "
                "width and height, expected both at the end of the message IMGLOAD: add them"
            )
    without = [one for one, corner in of_image.items() if corner is None]
    if len(without) == len(of_image):
        return None
    if without:
        raise ValueError(
            f"{path} line {without[0].line}: {without[0].name!r} has no left upper corner, which "
            "other images have, expected IMGLOAD TOP_LEFT with x and y for each"
        )
    # A row without an image is left out later, or is refused where --image-from gives it one.
    nowhere = (np.nan, np.nan)
    return np.array([of_image[one] if one else nowhere for one in shown], np.float64)
