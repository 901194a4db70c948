"""`python -m relay.cli`: the same as the console script."""

from relay.cli import main

if __name__ == "__main__":
    main()
