"""Survey a folder of patches as training does first, for `stages.py`.

python benchmarks/scaling/survey_command.py PATCHES [--num_workers N]
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

from clusternet.command_line.executor import executor_of
from clusternet.patches.folder import open_patches
from clusternet.patches.survey import survey_patches


def main() -> None:
    """Parse and survey."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patches", type=Path)
    parser.add_argument("--num_workers", type=int)
    parser.set_defaults(ray=None)
    args = parser.parse_args()
    there = executor_of(args, [args.patches]) if args.num_workers else nullcontext()
    with there as executor:
        patches = open_patches(args.patches)
        survey_patches(patches, patches.shape, workers=1, executor=executor)


if __name__ == "__main__":
    main()
