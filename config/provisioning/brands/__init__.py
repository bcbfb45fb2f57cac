"""What each brand of phone is told: one module for each writer, names and values only, no syntax."""
