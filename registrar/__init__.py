"""The SIP side: phones register here, and every refusal has a reason."""
