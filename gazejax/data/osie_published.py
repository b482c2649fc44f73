"""The split of the few-shot scanpath papers on OSIE: their lists of people and images.

People 0 to 9 in the order of `fixations.mat` are seen, 10 to 14 unseen. Of the 700 images, 70 are
test images, 70 validation images and 560 training images. The validation images are those at the
end of the other 630 in ascending order, after `numpy.random.seed(0)` and `numpy.random.shuffle`;
they are also listed by the authors.

Source: the lists of the repositories chenxy99/IndividualScanpath and
cvlab-stonybrook/few-shot-scanpath.
"""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
from jaxtyping import Int

NUM_USERS, NUM_SEEN_USERS = 15, 10
_NUMBERS = range(1001, 1701)

# fmt: off
TEST_IMAGES = frozenset({
    1009, 1017, 1049, 1056, 1062, 1086, 1087, 1099, 1108, 1114, 1116, 1117, 1127, 1130, 1131, 1136,
    1140, 1152, 1192, 1220, 1225, 1226, 1252, 1255, 1269, 1295, 1307, 1360, 1369, 1372, 1394, 1397,
    1405, 1420, 1423, 1433, 1441, 1478, 1480, 1481, 1489, 1490, 1493, 1502, 1509, 1523, 1528, 1530,
    1549, 1555, 1558, 1567, 1576, 1581, 1595, 1596, 1605, 1609, 1615, 1616, 1618, 1622, 1628, 1637,
    1640, 1657, 1663, 1677, 1682, 1699,
})

VALIDATION_IMAGES = frozenset({
    1011, 1031, 1045, 1051, 1058, 1063, 1076, 1078, 1090, 1092, 1095, 1100, 1104, 1109, 1129, 1135,
    1146, 1149, 1162, 1166, 1170, 1188, 1194, 1197, 1200, 1203, 1212, 1224, 1250, 1270, 1283, 1291,
    1300, 1304, 1316, 1319, 1333, 1342, 1349, 1352, 1364, 1390, 1407, 1424, 1432, 1435, 1461, 1468,
    1469, 1483, 1491, 1504, 1518, 1535, 1537, 1562, 1592, 1600, 1601, 1608, 1610, 1621, 1623, 1629,
    1661, 1667, 1668, 1669, 1678, 1691,
})
# fmt: on


def image_numbers(user_ids: Sequence[str], image_ids: Sequence[str]) -> Int[np.ndarray, " image"]:
    """The numbers of the images of OSIE, from 1001 to 1700.

    Args:
        user_ids: names of the users, in the order of the release.
        image_ids: names of the images.

    Raises:
        ValueError: if the users are not the 15 of `fixations.mat` in their order, or the images not
            its 700.
    """
    expected = [str(user) for user in range(1, NUM_USERS + 1)]
    if list(user_ids) != expected:
        raise ValueError(
            f"split.test_rule is 'osie_published', but the data has {len(user_ids)} users, from "
            f"{user_ids[0]!r} to {user_ids[-1]!r}; allowed: the 15 of osie/gaze, '1' to '15'"
        )
    stems = [PurePath(name).stem for name in image_ids]
    if sorted(stems) != [str(number) for number in _NUMBERS]:
        raise ValueError(
            f"split.test_rule is 'osie_published', but the data has {len(image_ids)} images, from "
            f"{min(image_ids)!r} to {max(image_ids)!r}; allowed: the 700 of osie/gaze, '1001.jpg' "
            "to '1700.jpg'"
        )
    return np.array([int(stem) for stem in stems])
