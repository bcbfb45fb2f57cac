"""What the command line does, a module for each thing; `registrar/__main__.py` names them (design.md 4.1)."""
