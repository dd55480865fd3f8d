"""Let ``python -m chatserver`` run the command line."""

import sys

from chatserver.cli import main

sys.exit(main())
