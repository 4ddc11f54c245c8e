"""What the machine could do: matrix products by torch in float32 with one thread, and nothing else.

    python -m benchmarks.training_arms.limit

Prints, as JSON, billions of floating-point operations per processor second for the products of each model's
shapes, and the best of them.
"""

import json
import time
from typing import Any

SHAPES = {
    "square, 1024": (1024, 1024, 1024),
    "512 tokens, SmolLM2's feed-forward": (512, 576, 1536),
    "512 tokens, SmolLM2's vocabulary": (512, 576, 49152),
    "512 tokens, the 10M model's feed-forward": (512, 384, 1024),
}
_SECONDS = 1.0


def gflops(rows: int, inner: int, columns: int) -> float:
    """Billions of operations per processor second of ``(rows, inner) x (inner, columns)``."""
    import torch

    left, right = torch.randn(rows, inner), torch.randn(columns, inner).t()
    out = torch.empty(rows, columns)
    torch.mm(left, right, out=out)
    best = 0.0
    began = time.process_time()
    while time.process_time() - began < _SECONDS:
        start = time.process_time()
        repeated = 0
        while time.process_time() - start < 0.1:
            torch.mm(left, right, out=out)
            repeated += 1
        best = max(best, 2 * rows * inner * columns * repeated / (time.process_time() - start) / 1e9)
    return best


def operations_per_token(configuration: Any, *, method: str, rank: int, tokens: float) -> float:
    """Floating-point operations that training on one token takes, padding and recomputation left out.

    Two for each multiplied weight forward, as many for the gradient of its input, and as many again for that
    of the weight where it is trained (Kaplan et al., 2020, section 2.1). Attention at ``tokens`` tokens of
    context is counted causally, half of it. Every position is multiplied with the vocabulary.
    """
    width, deep = configuration.hidden_size, configuration.num_hidden_layers
    inner, heads = configuration.intermediate_size, configuration.num_attention_heads
    size = getattr(configuration, "head_dim", None) or width // heads
    queries, keys = heads * size, configuration.num_key_value_heads * size
    shapes = [(width, queries), (width, keys), (width, keys), (queries, width)]
    shapes += [(width, inner), (width, inner), (inner, width)]
    linear = deep * sum(into * out for into, out in shapes)
    head = width * configuration.vocab_size
    added = 0 if method == "full" else deep * rank * sum(into + out for into, out in shapes)
    attention = deep * 2 * queries * tokens / 2
    base_passes = 3 if method == "full" else 2
    return float(2 * (base_passes * (linear + head) + 3 * added + 3 * attention))


def main() -> None:
    import torch

    torch.set_num_threads(1)
    found = {name: round(gflops(*shape), 1) for name, shape in SHAPES.items()}
    print(json.dumps({"each": found, "best": max(found.values())}))


if __name__ == "__main__":
    main()
