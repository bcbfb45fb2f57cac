"""Extra lines of configuration files: what they may set, and how they are checked."""
