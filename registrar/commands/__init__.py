"""The subcommands of the command line, one module each; `registrar/__main__.py` declares them (README.md)."""
