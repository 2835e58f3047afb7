"""Where events come from: files with their lines joined, and the traffic of a made-up shop."""
