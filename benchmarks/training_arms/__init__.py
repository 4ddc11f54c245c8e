"""What ``benchmarks.training`` measures: the same rows trained by lorafirst and by its peers."""
