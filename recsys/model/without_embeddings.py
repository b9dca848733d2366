"""What a model without vectors says when it is asked for them. May import errors and embeddings."""

from __future__ import annotations

from recsys.embeddings import Embeddings
from recsys.errors import InputError

__all__ = ["NoEmbeddingsError", "WithoutEmbeddings"]


class NoEmbeddingsError(InputError, AttributeError):
    """Embeddings were asked for of a model that has none; to `hasattr` and `getattr` they are not there."""

    def __init__(self, trainer: str, path: str | None = None) -> None:
        what = f"A model of the trainer {trainer!r} has" if path is None else f"{path} holds a model of {trainer!r}, which has"
        super().__init__(
            f"{what} no embeddings: its scores are no dot products of vectors. "
            "Hint: it recommends and is evaluated as any other model."
        )


class WithoutEmbeddings:
    """A model whose scores are no dot products of vectors."""

    trainer_name: str

    @property
    def user_embeddings(self) -> Embeddings:
        """Raises `NoEmbeddingsError`."""
        raise self._no_embeddings()

    @property
    def item_embeddings(self) -> Embeddings:
        """Raises `NoEmbeddingsError`."""
        raise self._no_embeddings()

    def _no_embeddings(self) -> NoEmbeddingsError:
        return NoEmbeddingsError(self.trainer_name)
