"""`python -m bench.storm`."""

import sys

from bench.storm.command import main

if __name__ == "__main__":
    sys.exit(main())
