"""The regex job: facts out of the topic, in one of three modes."""
