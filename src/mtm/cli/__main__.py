"""``python -m mtm.cli``."""

import sys

from mtm.cli import main

if __name__ == "__main__":
    sys.exit(main())
