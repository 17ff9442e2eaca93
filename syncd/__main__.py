"""`python -m syncd`: the same program as the console script."""

from syncd.cli.main import run

if __name__ == "__main__":
    run()
