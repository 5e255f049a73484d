"""The outputs of a training. Those that cannot be written are refused before the work begins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clusternet.errors import OutputError
from clusternet.files.locks import claimed, is_held, tidy
from clusternet.files.outputs import (
    check_apart,
    check_distinct,
    check_new,
    check_open_folder,
    check_writable,
    readable_os_errors,
)
from clusternet.training.previews import EPOCH_MAPS, epoch_name
from clusternet.training.run_files import PAGE_FOLDER, PAGE_LOCK, RUN, STATE, WEIGHTS


@dataclass(frozen=True)
class RunOutputs:
    """Paths that a training reads and writes; `clusternet.train` describes each."""

    patches: Path
    output: Path
    """The run folder."""
    epochs: range
    """Those after which maps are written."""
    overwrite: bool = False
    resume: bool = False
    pretrained_weights: Path | None = None
    labels: Path | None = None
    """Of a fine-tuning."""
    out_weights_file: Path | None = None
    test_img_folder: Path | None = None
    out_pred_masks_test: Path | None = None

    @property
    def resumes(self) -> bool:
        """True if there is a run to resume."""
        return self.resume and (self.output / STATE).is_file()

    @property
    def replaces(self) -> bool:
        """True if our own earlier outputs may be replaced."""
        return self.overwrite or self.resumes

    def check_apart(self) -> None:
        """Refuse outputs that are inputs, and weights that are not named as such.

        Raises:
            OutputError: naming the output.
        """
        weights = self.out_weights_file
        if weights is not None and not weights.name.endswith(".weights.h5"):
            raise OutputError(f"{weights}: expected a name ending in .weights.h5.")
        check_apart(
            (self.output, weights, self.out_pred_masks_test),
            (self.patches, self.test_img_folder, self.pretrained_weights, self.labels),
        )
        check_distinct((weights,), (self.output, self.out_pred_masks_test))

    def check(self) -> None:
        """Refuse outputs that exist, that are inputs, or that cannot be written.

        Raises:
            OutputError: naming the output.
        """
        self.check_apart()
        if not self.resumes:
            hint = "--overwrite replaces it, --resume goes on with it"
            check_new(self.output, kind=RUN, overwrite=self.overwrite, hint=hint)
            check_writable(self.output)
            self._check_pages()
        if self.out_weights_file is not None:
            check_new(self.out_weights_file, kind=WEIGHTS, overwrite=self.replaces)
            check_writable(self.out_weights_file)
        if self.test_img_folder is not None and self.out_pred_masks_test is not None:
            for epoch in self.epochs:
                folder = self.out_pred_masks_test / epoch_name(epoch)
                check_new(folder, kind=EPOCH_MAPS, overwrite=self.replaces)
            check_open_folder(self.out_pred_masks_test)

    def tidy(self) -> None:
        """Remove what processes left that wrote these outputs for this one and were killed.

        They may have run on other machines, where nobody could tell from here that they ended. The
        page, which may work with the run meanwhile, has a folder of its own.
        """
        for output in (self.output, self.out_weights_file, self.out_pred_masks_test):
            if output is not None:
                path = Path(os.path.realpath(output))
                with readable_os_errors(output):
                    tidy(path, partial(_is_of_training, path))

    def _check_pages(self) -> None:
        """Refuse to replace a run that the page works with."""
        for lock in (self.output / PAGE_FOLDER).glob(f"*/{PAGE_LOCK}"):
            if is_held(lock):
                raise OutputError(
                    f"{self.output}: the page or tools/interactive.py works with it "
                    f"({lock.parent}); end that first, or choose another output."
                )

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep all outputs for this process until the block ends, and check them.

        Raises:
            OutputError: as of `check`, or if another process writes one of them.
        """
        self.check_apart()
        with claimed(self.output, self.out_weights_file, self.out_pred_masks_test):
            self.check()
            yield


def _is_of_training(output: Path, entry: Path) -> bool:
    return PAGE_FOLDER not in entry.relative_to(output).parts
