"""The operator's desk: a Qt window onto a bridge."""
