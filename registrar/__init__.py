"""The SIP side: registers phones, routes their calls, and gives a reason for every refusal."""
