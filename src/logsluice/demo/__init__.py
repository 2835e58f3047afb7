"""The demo: a made-up shop, its traffic and load, and the whole pipeline on one machine."""
