"""Java for the parts that need it: where it is, and the jars it runs, pinned by checksum."""
