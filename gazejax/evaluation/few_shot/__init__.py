"""Which of a few unseen users is it: identification after few training images."""
