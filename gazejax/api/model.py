"""Use of a trained model: embed users, predict their maps, compare and identify users."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Shaped

from gazejax._array_checks import (
    Viewings,
    checked_embedding,
    checked_image,
    checked_list,
    checked_map,
    checked_sessions_of_users,
    checked_stream,
    checked_users,
    checked_viewing_stream,
    finite_maps,
)
from gazejax.api.embedding import Embedding, check_encoder
from gazejax.api.gaze import (
    GazeRules,
    PersonalGaze,
    Tally,
    checked_viewings,
    make_pair,
    make_pairs_by_image,
    make_pairs_of_image,
    with_universal,
)
from gazejax.api.probing import Prober, Trait, probe_embedding
from gazejax.api.recognition import (
    Comparison,
    Identification,
    compare_embeddings,
    identify_embedding,
    make_comparer,
)
from gazejax.config.derived import (
    INPUTS,
    duration_use,
    embedding_layout,
    has_preference_vector,
    input_sizes,
    map_size,
)
from gazejax.data import pretrained
from gazejax.data.looks import warn_of_length
from gazejax.data.reader import resize_map
from gazejax.inference.enlarging import enlarge_maps
from gazejax.inference.images import ReadImage, make_image_reader
from gazejax.inference.networks import encoder_network, saliency_network
from gazejax.inference.serving import (
    FIXATIONS,
    Pair,
    embed_pairs,
    make_embed,
    make_predict,
    predict_maps,
)
from gazejax.inference.universal import make_universal_predictor
from gazejax.inputs.maps import MapSpec
from gazejax.runtime.devices import check_not_forked, in_32_bits
from gazejax.workdir.trained import Trained


class Model:
    """A trained encoder and saliency network; make it with `load`.

    A pickled model is the path of its folder and a digest: it is loaded again.

    Attributes:
        folder: absolute path of what was loaded.
        digest: SHA-256 of all that embeddings and maps depend on.
        config: the config of the training.
        embedding_size: number of entries of an embedding.
        reads_durations: whether the encoder reads the durations of fixations.
        needs_durations: whether it embeds no gaze without them.
        encoder_digest: SHA-256 of the encoder's parameters: embeddings of one encoder only can be
            compared, and given to `predict`.
    """

    @in_32_bits
    def __init__(self, trained: Trained, folder: Path) -> None:
        config = self.config = trained.config
        self.folder, self.digest = folder, trained.digest
        self.encoder_digest = trained.encoder_digest
        self.embedding_size = sum(embedding_layout(config))
        self.reads_durations, self.needs_durations = duration_use(
            config.encoder.model.inputs,
            without_durations=config.encoder.batch.virtual_sessions.without_durations,
        )
        filters = {name: config.data[name] for name in GazeRules._fields[2:]}
        self._rules = GazeRules(self.reads_durations, self.needs_durations, **filters)
        self._trained = trained
        self._prober = Prober(trained.probes, self.encoder_digest, self.reads_durations)
        self._comparer = make_comparer(trained, self.encoder_digest, self.embedding_size)
        backbone = None
        if trained.projection is not None:
            params = pretrained.load_parameters()["backbone"]
            backbone = params, config.features.strides, trained.projection
        map_sizes = {name: map_size(config, name) for name in INPUTS}
        self._universal = jax.jit(make_universal_predictor(config))
        self._read_image = make_image_reader(
            image_sizes=input_sizes(config),
            map_sizes=map_sizes,
            backbone=backbone,
            predict_universal=self._predict_universal,
        )
        spec = MapSpec(map_sizes["encoder"], config.data.sigma_frac, FIXATIONS)
        # The classifier of seen users is not used: any number of them will do.
        encoder = encoder_network(config, num_users=1)
        self._embed_pairs = make_embed(encoder, spec, has_preference=has_preference_vector(config))
        self._predict_maps = make_predict(
            saliency_network(config, num_users=trained.num_seen_users)
        )

    def embed(
        self,
        images: Sequence[npt.ArrayLike],
        fixations: Sequence[npt.ArrayLike],
        universal: Sequence[npt.ArrayLike] | None = None,
        durations_ms: Sequence[npt.ArrayLike] | None = None,
        *,
        sessions: Sequence[str] = (),
    ) -> Embedding:
        """Embeds one user from images that the user looked at.

        Args:
            images: uint8 [height, width, 3], any sizes; at least one.
            fixations: of each image, [fixation, 2], x then y in pixels of that image. The top left
                corner is (0, 0), and the center of the first pixel (0.5, 0.5). In the order of
                looking.
            universal: the universal map of each image, [height, width] at any size and any positive
                scale. None: a predicted map.
            durations_ms: duration of each fixation in milliseconds, [fixation]. An encoder without
                `reads_durations` ignores them; one with `needs_durations` embeds nothing without.
            sessions: names of the recording sessions that the gaze is of; empty: not known.

        The filters of the training (`config.data`) apply to the fixations of each image as to one
        trial. A UserWarning says if the fixations or durations look like other units, if durations
        are missing that the encoder would read, or if viewings are longer or shorter than in the
        training.

        Returns:
            The user embedding: the mean over the pairs, float32; of how many different images.

        Raises:
            TypeError: if an image is not uint8, or fixations are not numbers.
            ValueError: if shapes or counts are wrong, a scanpath is empty, a fixation is not finite
                or outside, or durations are missing or not above 0; the argument is named.
        """
        viewings = checked_viewings(self._rules, images, fixations, durations_ms)
        read = [self._read(image) for image in viewings.images]
        if universal is not None:
            read = with_universal(read, universal, map_size(self.config, "encoder"))
        pairs = (make_pair(viewings, number, image) for number, image in enumerate(read))
        return self._embed(pairs, {"": sessions})[""]

    def embed_many(
        self,
        users: Mapping[str, Sequence[Any]],
        *,
        sessions: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Embedding]:
        """Embeds many users; the networks see an image once, for all users who looked at it.

        Args:
            users: of each user a tuple: the images, the fixations and, if known, the durations, as
                `embed` takes them. Images are the same where their pixels are.
            sessions: names of the recording sessions of each user; None: not known.

        Returns:
            The embedding of each user, as `embed` returns it, with the name of the user.

        Raises:
            TypeError, ValueError: see `embed`; the message names the user and the argument.
        """
        checked: dict[str, Viewings] = {}
        for user, given in checked_users(users, "users", "a tuple of images and gaze").items():
            if not isinstance(given, tuple | list) or len(given) not in (2, 3):
                raise TypeError(
                    f"users[{user!r}] is a {type(given).__name__}; allowed: a tuple of images, "
                    "fixations and, if known, durations"
                )
            images, fixations, durations_ms = (*given, None)[:3]
            checked[user] = checked_viewings(
                self._rules, images, fixations, durations_ms, user=user
            )
        of_users = checked_sessions_of_users(sessions, checked)
        pairs = make_pairs_by_image(list(checked.values()), self._read)
        found = self._embed(pairs, of_users)
        return {user: found[user] for user in checked}

    def embed_people(
        self, viewings: Iterable[tuple[npt.ArrayLike, Mapping[str, PersonalGaze]]]
    ) -> dict[str, Embedding]:
        """Embeds many users from a stream of images, of which one at a time is in memory.

        Args:
            viewings: of each image, the image, uint8 [height, width, 3], and the gaze of each user
                on it.

        Returns:
            The embedding of each user, as `embed_many` returns it. Without: users of whom the
            filters of the training leave no fixation.

        Raises:
            TypeError, ValueError: see `embed`; the message names the user and the argument.
        """
        pairs = (
            pair
            for number, (image, gaze) in enumerate(checked_viewing_stream(viewings))
            for pair in make_pairs_of_image(self._rules, self._read, number, image, gaze)
        )
        return self._embed(pairs, {})

    @in_32_bits
    def _read(self, image: np.ndarray) -> ReadImage:
        check_not_forked()
        return self._read_image(image)

    def _predict_universal(
        self, saliency_input: Shaped[np.ndarray, "_height _width _channel"]
    ) -> Float[np.ndarray, "map_height map_width"]:
        """Predicts a universal map; the mean training map where networks were given that one."""
        trained, prior = self._trained, self._trained.center_prior["saliency"]
        if not trained.predicts_universal_maps:
            return prior
        return np.asarray(self._universal(trained.universal, saliency_input[None], prior))[0]

    def _embed(
        self, pairs: Iterable[Pair], sessions: Mapping[str, Sequence[str]]
    ) -> dict[str, Embedding]:
        """Embeds the users of pairs, each with the names of the sessions of the user."""
        tally = Tally()
        found = embed_pairs(self._embed_pairs, self._trained.encoder, tally.count(pairs))
        warn_of_length(self._trained.gaze_source.get("viewings", {}), tally.measure())
        return {
            user: Embedding(
                rows.mean(axis=0),
                self.encoder_digest,
                len(tally.images[user]),
                sessions.get(user, ()),
                tally.has_durations[user],
                str(user),
            )
            for user, rows in found.items()
        }

    def predict(
        self,
        image: npt.ArrayLike,
        embedding: Embedding | npt.ArrayLike | None = None,
        universal: npt.ArrayLike | None = None,
    ) -> Float[np.ndarray, "height width"]:
        """Predicts where a user looks in an image.

        Args:
            image: uint8 [height, width, 3], any size.
            embedding: of the user, as `embed` returns it, or its vector. None: the universal map is
                returned.
            universal: the universal map of the image, [height, width] at any size and any positive
                scale. None: a predicted map.

        Returns:
            A map of the image's size that sums to 1, float32.

        Raises:
            TypeError: if the image is not uint8, or another argument is not of numbers.
            ValueError: if a shape is wrong, a value is NaN, infinite or (in a map) negative, the
                embedding is of another encoder, or stage `saliency` was not trained.
        """
        image = checked_image(image, "image")
        given = None if universal is None else checked_map(universal, "universal")
        if embedding is None:
            if given is None:
                return enlarge_maps(self._read(image).universal[None], image.shape[:2])[0]
            return finite_maps(resize_map(given, image.shape[:2])[None], None)[0]
        return self._predict(image, self._vectors([embedding]), given)[0]

    def predict_many(
        self,
        images: Iterable[npt.ArrayLike],
        embeddings: Sequence[Embedding | npt.ArrayLike],
    ) -> Iterator[Float[np.ndarray, "user height width"]]:
        """Predicts where each of many users looks in each of many images.

        An image passes the backbone once. Beside the result, memory is that of a few users.

        Args:
            images: uint8 [height, width, 3], any sizes; one at a time is read.
            embeddings: of each user, at least one; see `predict`.

        Returns:
            An iterator: of each image, in turn, a map of each user, float32, of its size and sum 1.

        Raises:
            TypeError, ValueError: see `predict`; the message names the argument.
        """
        allowed = "a list of Embedding or a 2-D array"
        vectors = self._vectors(checked_list(embeddings, "embeddings", allowed))
        stream = checked_stream(images, "images", "images")
        return (
            self._predict(checked_image(image, f"images[{number}]"), vectors, None)
            for number, image in enumerate(stream)
        )

    def compare(self, a: Embedding, b: Embedding) -> Comparison:
        """How likely two embeddings are of one person.

        Args:
            a: an embedding, by the encoder of this model.
            b: another one.

        Returns:
            The calibrated probability, the score and the distance, and what the probability holds
            for; see `Comparison`.

        Raises:
            TypeError: if one is no `Embedding`: the number of its images must be known.
            ValueError: if one is of another encoder, or the model is not calibrated: it has not
                been evaluated, or with fewer than four unseen users.
        """
        return compare_embeddings(self._comparer, (a, b), ("a", "b"))

    def identify(
        self,
        probe: Embedding,
        gallery: Mapping[str, Embedding],
        k: int = 5,
        *,
        in_gallery: float = 0.5,
    ) -> Identification:
        """Whose embedding it is, if it is of a user of a gallery at all.

        Args:
            probe: the embedding of an unknown user.
            gallery: the embedding of each known user, at least one.
            k: largest number of users to return.
            in_gallery: how probable it is, before, that the probe is of a user of the gallery.

        Raises:
            TypeError: if one is no `Embedding`, k is not whole, or `in_gallery` is no number.
            ValueError: as `compare`, or if the gallery is empty or a number not in its range.
        """
        return identify_embedding(self._comparer, probe, gallery, k, in_gallery=in_gallery)

    def probe(self, embedding: Embedding | npt.ArrayLike) -> dict[str, Trait]:
        """What an embedding says of a person, in plain units, beside the users of the training.

        Args:
            embedding: of the user; see `predict`.

        Returns:
            Each `Trait` by its name. Without `duration_ms`: an embedding for which an encoder that
            reads durations was given none.

        Raises:
            TypeError: if the embedding is not of numbers.
            ValueError: if it is of another encoder or shape, or the model was not evaluated.
        """
        return probe_embedding(self._prober, embedding)

    def _vectors(self, embeddings: Sequence[Any]) -> Float[np.ndarray, "user embedding"]:
        """Checks the embeddings that maps are to be predicted for."""
        if self._trained.saliency is None:
            raise ValueError(
                f"{self.folder} has no stage saliency, which predicts the maps of users; allowed: "
                "an embedding of None, or train stage saliency in this workdir"
            )
        if not embeddings:
            raise ValueError("embeddings has 0 entries; allowed: at least one")
        vectors = []
        for number, embedding in enumerate(embeddings):
            name = "embedding" if len(embeddings) == 1 else f"embeddings[{number}]"
            check_encoder(embedding, self.encoder_digest, name)
            vectors.append(checked_embedding(embedding, self.embedding_size, name))
        return np.stack(vectors)

    def _predict(
        self,
        image: np.ndarray,
        vectors: Float[np.ndarray, "user embedding"],
        universal: Float[np.ndarray, "_map_height _map_width"] | None,
    ) -> Float[np.ndarray, "user height width"]:
        read = self._read(image)
        return predict_maps(
            self._predict_maps,
            self._trained.saliency,
            read,
            vectors,
            read.universal if universal is None else universal,
            map_size=self.config.saliency.map_size,
            size=image.shape[:2],
        )
