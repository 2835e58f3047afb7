"""The platform as a Pulumi program: each module is one part of it, `__main__.py` wires them."""
