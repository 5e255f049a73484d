"""The network of a member of a group: every step is one of all members together."""

from __future__ import annotations

import hashlib
import math
import socket
from typing import Any

import numpy as np

from clusternet.backbone.describing import Describer
from clusternet.clustering.kmeans import Codebook
from clusternet.errors import RunError
from clusternet.network.backend import keras
from clusternet.network.gradient_sums import GradientSums, Steps
from clusternet.network.unet import masked_cross_entropy
from clusternet.processes.groups import Group
from clusternet.settings import TrainingSettings
from clusternet.training.learner import Learner, num_parts
from clusternet.types import AnyArray, FloatArray, IntArray
from clusternet.windows import Shape


def patches_each(step_size: int, num_members: int) -> int:
    """Return the most patches of a step that a member of a group gets."""
    return math.ceil(step_size / num_members)


class GroupLearner(Learner):
    """A learner whose steps go down the gradient of the mean loss over the pixels of all members.

    Each member has its own copy of the network and of the optimizer. All begin alike and take the
    same steps, so they stay bitwise alike; `freeze` makes sure.
    """

    def __init__(
        self,
        num_bands: int,
        shape: Shape,
        settings: TrainingSettings,
        step_size: int,
        group: Group,
        backbone: Describer | None = None,
    ) -> None:
        """Build and compile once, see `Learner`.

        Args:
            num_bands: bands of a patch.
            shape: (rows, cols) of a patch.
            settings: of the run.
            step_size: patches in a training step of all members together.
            group: that takes the steps.
            backbone: see `Learner`.
        """
        self._group = group
        each = patches_each(step_size, group.size)
        super().__init__(num_bands, shape, settings, each, backbone)
        # Keras' optimizer counts parts of steps in a run of one process, and so does a checkpoint.
        self._counts = num_parts(settings.base_filters, shape, step_size)

    def _compiled(
        self, inputs: list[Any], description: Any, settings: TrainingSettings, parts: int | None
    ) -> Any:
        trainer = self._to_train()
        trainer.compile(GradientSums(), masked_cross_entropy)
        self._steps = Steps(self._new_optimizer(settings), trainer.trainable_variables)
        return trainer

    def _new_optimizer(self, settings: TrainingSettings) -> Any:
        return keras.optimizers.Adam(settings.learn_rate)

    def fit(self, pixels: FloatArray, labels: IntArray) -> float:
        """Take one step with all members; return the mean loss over the pixels of all.

        Args:
            pixels: (patches, rows, cols, bands) of this member.
            labels: (patches, rows', cols') of this member; perhaps none at all.
        """
        # A member counts for as much as it has labelled pixels: the mean over all is wanted, and
        # patches have more or fewer of them. Shares of the whole step keep the numbers small.
        inputs, labels = self._on_grid(pixels, labels)
        loss, split = 0.0, [self._split(one) for one in (*inputs, labels)]
        for *some_inputs, some_labels in zip(*split, strict=True):
            share = _num_labelled(some_labels) / (labels.size * self._group.size)
            if share:
                weights = np.full(len(some_labels), share, np.float32)
                loss += self._loss_of_step(some_inputs, some_labels, weights)
        share = _num_labelled(labels) / (labels.size * self._group.size)
        own = np.append(self._trainer.optimizer.take(), np.array([loss, share], np.float32))
        total = self._group.sum(own)
        # where no member has a labelled pixel, all sums are 0
        means = total[:-1] / (total[-1] or np.float32(1))
        self._steps.take(means[:-1])
        return float(means[-1])

    def freeze(self, codebook: Codebook) -> None:
        """See `Learner`.

        Raises:
            RunError: if the members' weights are not bitwise alike.
        """
        found = self._group.gather([(self._digest(), socket.gethostname())])
        for rank, (digest, host) in enumerate(found):
            if digest != found[0][0]:
                raise RunError(
                    f"Workers 0 on {found[0][1]} and {rank} on {host} took the same steps to "
                    "different weights: their processors or libraries compute otherwise. Use nodes "
                    "of one kind, or one node."
                )
        super().freeze(codebook)

    def _digest(self) -> str:
        found = hashlib.sha256()
        for name, array in self.state().items():
            found.update(name.encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def state(self) -> dict[str, AnyArray]:
        """See `Learner`; it is the state of a run of one process, which can go on from it."""
        state = super().state()
        state[_STEPS] = state[_STEPS] * self._counts
        return state

    def restore(self, state: dict[str, AnyArray]) -> None:
        """See `Learner`."""
        super().restore(state | {_STEPS: state[_STEPS] // self._counts})

    def reset_optimizer(self) -> None:
        """Refuse: the published scheme, which needs it, is one of a single process."""
        raise NotImplementedError

    def _optimizer_variables(self) -> list[Any]:
        return list(self._steps.optimizer.variables)


_STEPS = "optimizer_0000"
"""The array of a state that counts steps: Keras' optimizers have it as their first variable."""


def _num_labelled(labels: IntArray) -> int:
    return int(np.count_nonzero(labels >= 0))
