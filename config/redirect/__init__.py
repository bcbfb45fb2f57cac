"""How a phone learns where its configuration is: the redirect services of the vendors, and DHCP."""
