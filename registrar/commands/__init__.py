"""What the command line does, a module for each thing; `registrar/__main__.py` names them (README.md)."""
