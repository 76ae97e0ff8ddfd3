"""`python -m mdnbench` is `mdnbench`."""

from mdnbench.cli import main

if __name__ == "__main__":
    main()
