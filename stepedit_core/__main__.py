"""`python -m stepedit_core` is the command `stepedit`."""

import sys

from .cli import main

sys.exit(main())
