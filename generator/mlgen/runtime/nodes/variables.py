"""What a program on several nodes is told of itself (decision 0041): the same on this machine and in a cluster."""

from __future__ import annotations

ADDRESS, PORT_NAME = "MASTER_ADDR", "MASTER_PORT"
PORT = 29500  # of rank 0's pod, which has a network of its own; PyTorch's usual one


def variables(rank: int | str, count: int) -> dict[str, str]:
    """Of the program of a rank, but for where it meets the others: MASTER_ADDR and MASTER_PORT.

    RANK and WORLD_SIZE: what PyTorch's env:// reads, with one process a node; torchrun sets them anew.
    rank: or what the cluster makes one of.
    """
    return {
        "MLGEN_NODE_RANK": str(rank),
        "MLGEN_NODES": str(count),
        "RANK": str(rank),
        "WORLD_SIZE": str(count),
    }
