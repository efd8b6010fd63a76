# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that lies beside a model file."""

from amrq.model import Contract

__all__ = ["model_page"]


def model_page(contract: Contract) -> str:
    """Return Markdown: what the model is, how to make it again, how good it is on one chunk.

    Args:
        contract: of the finished model, with the recipe and the accuracy table in it.
    """
    recipe = contract.recipe
    versions = ", ".join(f"{name} {number}" for name, number in recipe["versions"].items())
    net = recipe["settings"]["net"]
    bits = (
        f"{contract.weight_bits}-bit weights and {contract.activation_bits}-bit activations"
        if contract.weight_bits < 32
        else "floating point"
    )
    low, high = contract.es_n0_db
    rotation = "at any rotation" if contract.phase == "any" else "the carrier phase known"
    pruned = f" that are not zero ({contract.pruned:.0%} were removed)" if contract.pruned else ""
    agreement = recipe["agreement"]
    differing = agreement["differing_decisions_of_torch_and_onnxruntime"]
    head = [
        f"# {contract.name}",
        "",
        f"Classes: {', '.join(contract.classes)}. Chunks of {contract.chunk_length} symbols, one sample a symbol, "
        f"each of unit RMS, {rotation}. Trained on Es/N0 of {low:g} to {high:g} dB."
        + (
            " Takes the level of the stream beside a chunk, where that is known."
            if contract.level_input
            else ""
        ),
        "",
        f"Network: {net['architecture']}, widths {', '.join(map(str, net['symbol_channels']))} at each symbol and "
        f"{', '.join(map(str, net['head_widths']))} behind the mean; {contract.weights} weights{pruned}, {bits}; "
        f"temperature {contract.temperature:g}, fusion_chunks {contract.fusion_chunks:g}. On {agreement['chunks']} "
        f"fresh chunks PyTorch and ONNX Runtime decided differently {differing} times.",
        "",
        f"Made on {recipe['date']} in {recipe['steps']} steps with seed {recipe['seed']} and {versions}. "
        "To make it again:",
        "",
        "```sh",
        f"amrq train recipes/{recipe['name']}.toml -o models/{recipe['name']}.onnx --fresh",
        "```",
        "",
    ]
    table = [
        "## Accuracy",
        "",
        "One chunk, the most probable of the nine; fresh ideal chunks, seed "
        f"{recipe['seed'] + 1}; Clopper-Pearson intervals at 95 %. What else there is to say of it, `amrq evaluate "
        f"{contract.name} -o FOLDER` finds out.",
        "",
        "| Es/N0 dB | accuracy | 95 % interval | chunks |",
        "|---:|---:|:---:|---:|",
        *(
            f"| {row.es_n0_db:g} | {row.accuracy:.4f} | {row.low:.4f} to {row.high:.4f} | {row.chunks} |"
            for row in contract.accuracy
        ),
        "",
    ]
    return "\n".join([*head, *table])
