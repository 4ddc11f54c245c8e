"""One command each; results are committed as ratios with the machine's description."""
